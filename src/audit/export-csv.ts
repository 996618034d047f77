// Exports as CSV (RFC 4180), for spreadsheets. A CSV can't be verified, since it is not signed. Must put an apostrophe before text that a
// spreadsheet would run as a formula.
import { stringify } from "csv-stringify/sync";
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

// Spreadsheets with Chinese, Japanese or Korean input treat full-width signs alike. The library's own list lacks the line feed.
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

const FORM = {
  record_delimiter: "\r\n",
  // Some spreadsheets split cells at semicolons and tabs. Of line ends, the library quotes only CR LF.
  quoted_match: /[;\t\r\n]/,
  cast: { string: (value: string) => (FORMULA.test(value) ? `'${value}` : value) },
};

export const CSV_HEADER = stringify([COLUMNS], FORM);

/** The row of a leaf, with its line end. */
export function csvOf(line: EventLine | PrunedLine): string {
  const { index, id, leafHash } = line;
  if (line.type === "pruned") {
    const none = COLUMNS.slice(3, -1).map(() => null);
    return stringify([[String(index), "pruned", id, ...none, leafHash]], FORM);
  }
  const { event, actor, target } = line;
  const cells = [
    ...[String(index), "event", id, event.at, event.actorKind, actor.id, actor.name, actor.address],
    ...[event.method, event.action, event.targetKind, target.id, target.name],
    ...[event.beforeHash, event.afterHash, event.result, event.detail],
    ...[actor.salt, actor.commitment, target.salt, target.commitment, leafHash],
  ];
  return stringify([cells], FORM);
}
