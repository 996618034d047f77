// What a dry run of a scope found, for people.
import type { DryRun } from "../contract/index.ts";
import { table } from "./text.ts";

const number = new Intl.NumberFormat("en");

/** A sentence, and the calls that would have been refused as a table. */
export function describeDryRun({ from, calls, refused, unknown, examples }: DryRun): string {
  const of = (count: number): string => number.format(count);
  const verdict =
    calls === 0
      ? `There were no calls since ${from} to try it on.`
      : `This scope would have refused ${of(refused)} of ${of(calls)} calls since ${from}.`;
  const doubt =
    unknown === 0 ? [] : [`Of ${of(unknown)} it can't be told: their paths were not kept.`];
  const lines = [verdict, ...doubt, "Models and limits are not judged. Nothing was changed."];
  if (examples.length === 0) return lines.join("\n");
  const rows = examples.map((it) => [
    of(it.calls),
    it.method,
    `/${it.provider}${it.path === "" ? "/…" : it.path}`,
    it.address === "" ? "?" : it.address,
    it.reason,
  ]);
  return `${lines.join("\n")}\n\n${table(["CALLS", "METHOD", "PATH", "FROM", "REASON"], rows)}`;
}
