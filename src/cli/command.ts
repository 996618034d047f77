// What all subcommands share: --json, and one place that prints a result.
import type { Command } from "commander";
import { escapeHidden } from "../visible-text.ts";
import { print } from "./output.ts";

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
