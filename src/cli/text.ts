// Text for people: tables and times.
import { escapeHidden } from "../visible-text.ts";

/** Left-aligned columns, two spaces apart, with a heading row. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map((line) => line.map(escapeHidden));
  const widths = headings.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const pad = (cell: string, column: number): string => cell.padEnd(widths[column] ?? 0);
  return lines.map((line) => line.map(pad).join("  ").trimEnd()).join("\n");
}

const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** An ISO time as people say it: "3 hours ago", "in 2 days", "just now". */
export function relative(iso: string, nowMs: number): string {
  const differenceMs = Date.parse(iso) - nowMs;
  const unit = UNITS.find(([, ms]) => Math.abs(differenceMs) >= ms);
  if (unit === undefined) return differenceMs > 0 ? "in less than a minute" : "just now";
  const count = Math.round(Math.abs(differenceMs) / unit[1]);
  const amount = `${count} ${unit[0]}${count === 1 ? "" : "s"}`;
  return differenceMs > 0 ? `in ${amount}` : `${amount} ago`;
}
