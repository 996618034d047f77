// The same events as CSV (RFC 4180), for people and their spreadsheets. It can't be verified: it has no form that a signature could be
// about. Text that a spreadsheet would run as a formula gets an apostrophe before it.
import type { EventLine, PrunedLine } from "./export-lines.ts";

const COLUMNS = [
  "index",
  "state",
  "id",
  "at",
  "actor_kind",
  "actor_id",
  "actor_name",
  "address",
  "method",
  "action",
  "target_kind",
  "target_id",
  "target_name",
  "before_hash",
  "after_hash",
  "result",
  "detail",
  "actor_salt",
  "actor_commitment",
  "target_salt",
  "target_commitment",
  "leaf_hash",
] as const;

// The wide forms count as the others where text is entered in Chinese, Japanese or Korean.
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;
// Tabs and semicolons, too, part cells in some spreadsheets.
const NEEDS_QUOTES = /[",;\t\r\n]/;

export const CSV_HEADER = csvRow(COLUMNS);

/** A leaf's row, with its line end. */
export function csvOf(line: EventLine | PrunedLine): string {
  const { index, id, leafHash } = line;
  if (line.type === "pruned") {
    const none = COLUMNS.slice(3, -1).map(() => null);
    return csvRow([String(index), "pruned", id, ...none, leafHash]);
  }
  const { event, actor, target } = line;
  return csvRow([
    ...[String(index), "event", id, event.at, event.actorKind, actor.id, actor.name, actor.address],
    ...[event.method, event.action, event.targetKind, target.id, target.name],
    ...[event.beforeHash, event.afterHash, event.result, event.detail],
    ...[actor.salt, actor.commitment, target.salt, target.commitment, leafHash],
  ]);
}

function csvRow(cells: readonly (string | null)[]): string {
  return `${cells.map(cellOf).join(",")}\r\n`;
}

function cellOf(value: string | null): string {
  if (value === null) return "";
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
