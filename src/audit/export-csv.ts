// The same events as CSV (RFC 4180), for people and their spreadsheets. It can't be verified: it has no form that a signature could be
// about. Text that a spreadsheet would run as a formula gets an apostrophe before it.
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

// The wide forms count as the others where text is entered in Chinese, Japanese or Korean. The library's own list lacks the line feed.
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

const FORM = {
  record_delimiter: "\r\n",
  // Some spreadsheets part cells at semicolons and tabs; of line ends the library quotes CR LF alone.
  quoted_match: /[;\t\r\n]/,
  cast: { string: (value: string) => (FORMULA.test(value) ? `'${value}` : value) },
};

export const CSV_HEADER = stringify([COLUMNS], FORM);

/** A leaf's row, with its line end. */
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
