// Prints a command's result, and detects when it is not taken: the reader is gone, or the disk is full. Must never report success after a
// part.
import { fstatSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { codeOf } from "../platform/unknown-values.ts";
import { escapeHidden } from "../platform/visible-text.ts";

/** Standard output did not take the whole result. */
export class OutputLost extends Error {
  override name = "OutputLost";
  /** Whether the reader closed the pipe, as `head` does. That is no failure. */
  readonly isClosedPipe: boolean;

  constructor(error: unknown) {
    const code = codeOf(error) ?? "unknown error";
    const why = code === "ENOSPC" ? `the disk is full (${code})` : code;
    super(`Standard output can't be written: ${why}. What was printed is not whole.`);
    this.isClosedPipe = code === "EPIPE";
  }
}

/**
 * From now on a failed write causes neither a stack trace nor a false success. Text on standard error is for people: if it can't be
 * written, the command goes on, and its exit status tells how it ended.
 */
export function watchOutput(): void {
  process.stdout.on("error", () => undefined); // print() rejects
  process.stderr.on("error", () => {
    process.exitCode ??= 1;
  });
}

/** Writes to standard output. Resolves once the system has all of it. Rejects with OutputLost. */
export async function print(what: string | Uint8Array): Promise<void> {
  const { stdout } = process;
  try {
    // For files, Node makes one write and ignores that only a part fitted.
    if (isFileOrDevice(stdout)) writeFileSync(stdout.fd, what);
    else await written(stdout, what);
  } catch (error) {
    throw new OutputLost(error);
  }
}

function isFileOrDevice(stdout: typeof process.stdout): boolean {
  const stat = fstatSync(stdout.fd);
  return stat.isFile() || (stat.isCharacterDevice() && !stdout.isTTY);
}

function written(stdout: NodeJS.WriteStream, what: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(what, (error) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}

// Shared by all subcommands: --json, and the printing of a result.

/** A command's result: one document for programs, a text for people. */
export interface Outcome {
  readonly json: unknown;
  readonly text: string;
}

/** Adds --json to `command` and lets `run` do its work, with the positional arguments. */
export function reports(
  command: Command,
  run: (args: readonly string[], command: Command) => Promise<Outcome>,
): void {
  command.option("--json", "print exactly one JSON document").action(async () => {
    const { json, text } = await run(command.args, command);
    const asJson = command.opts<{ json?: true }>().json === true;
    await print(`${escapeHidden(asJson ? JSON.stringify(json, null, 2) : text)}\n`);
  });
}

/** Help text with one example a line. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
}

// Text for people: tables and times.

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
