// x3sproxy audit verify: whether an export is the log that was sealed. With a file it asks nobody: no network, no database.
import { InvalidArgumentError, type Command } from "commander";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import {
  ExportVerifier,
  isVerifierKey,
  NotAnExportError,
  readKeptCheckpoints,
  type GivenCheckpoint,
  type VerifyReport,
} from "../audit/index.ts";
import { download } from "./api.ts";
import { collect } from "./arguments.ts";
import { examples, reports } from "./command.ts";
import { Failure, printable } from "./failure.ts";
import { createProgress } from "./progress.ts";

interface Options {
  readonly checkpoint?: readonly string[];
  readonly key?: string;
}

/** All of the log, from the service. */
export function wholeExport(): AsyncIterable<Uint8Array> {
  return download("/audit/export", "application/jsonl");
}

/** `fetchExport`: where an export comes from when no file is named. */
export function addVerifyCommand(
  audit: Command,
  fetchExport: () => AsyncIterable<Uint8Array>,
): void {
  reports(
    audit
      .command("verify [file]")
      .description("verify an export (JSON Lines), or without a file what the service exports now")
      .option(
        "--checkpoint <file>",
        "checkpoints that were kept elsewhere: the log has to begin with each (repeatable)",
        collect,
      )
      .option(
        "--key <key>",
        "the verifier key that you keep; else the export's own is taken",
        verifier,
      )
      .addHelpText(
        "after",
        `\nExit status: 0 verified, 1 not verified, 2 wrong usage.\n${examples(
          "x3sproxy audit verify audit.jsonl --key x3sproxy/audit/…+…+… --checkpoint /mnt/elsewhere/checkpoints",
          "x3sproxy audit verify",
        )}`,
      ),
    async ([file], command) => {
      const { checkpoint: files = [], key } = command.opts<Options>();
      const { checkpoints, warnings } = await readCheckpoints(files);
      const chunks = file === undefined ? fetchExport() : createReadStream(file);
      const found = await verify(
        chunks,
        new ExportVerifier({
          key,
          ...(files.length > 0 && { checkpoints }),
        }),
      ).catch((error: unknown) => {
        throw file === undefined ? error : unreadable(file, error);
      });
      const report = { ...found, warnings: [...found.warnings, ...warnings] };
      if (!report.verified) process.exitCode = 1;
      return { json: report, text: describe(report) };
    },
  );
}

async function verify(
  chunks: AsyncIterable<Uint8Array>,
  verifying: ExportVerifier,
): Promise<VerifyReport> {
  const progress = createProgress("events looked at");
  try {
    for await (const chunk of chunks) {
      if (!verifying.push(chunk)) break;
      progress.report(verifying.leaves);
    }
    return verifying.end();
  } catch (error) {
    if (!(error instanceof NotAnExportError)) throw error;
    throw new Failure("not_an_export", error.message);
  }
}

async function readCheckpoints(
  files: readonly string[],
): Promise<{ checkpoints: GivenCheckpoint[]; warnings: string[] }> {
  const checkpoints: GivenCheckpoint[] = [];
  const warnings: string[] = [];
  for (const file of files) {
    const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
    const kept = await readKeptCheckpoints(lines, file).catch((error: unknown) => {
      throw unreadable(file, error);
    });
    if (kept.checkpoints.length === 0) {
      throw new Failure("no_checkpoint", `There is no checkpoint in ${file}.`);
    }
    checkpoints.push(...kept.checkpoints);
    if (kept.otherLines > 0) {
      warnings.push(
        `${kept.otherLines} lines of ${file} are not of a checkpoint, and were passed over.`,
      );
    }
  }
  return { checkpoints, warnings };
}

function describe(report: VerifyReport): string {
  const { verified, size, root, events, pruned, erased, from, to, checkpoints } = report;
  const lines: (readonly [string, string])[] = [
    ["Log", report.origin],
    ["Key", `${report.verifierKey}${report.keyPinned ? "" : " (the export's own)"}`],
    ["Exported", report.exportedAt],
    ["Size", size === null ? "unknown" : `${size} leaves`],
    ["Root", root ?? "unknown"],
    ["Events", `${events}${from === null || to === null ? "" : `, ${from} to ${to}`}`],
    ["Pruned", String(pruned)],
    ["Erased parts", String(erased)],
    ["Kept checkpoints", `${checkpoints} agree`],
  ];
  const filters = Object.entries(report.filters).flatMap(([name, value]) =>
    typeof value === "string" ? [`${name} ${value}`] : [],
  );
  if (filters.length > 0) lines.splice(3, 0, ["Filters", filters.join(", ")]);
  const told = [
    ...report.prunings.map(
      (it) => `Event ${it.id} (leaf ${it.index}, ${it.at}) pruned all before leaf ${it.before}.`,
    ),
    ...report.erasures.map(
      (it) => `Event ${it.id} (leaf ${it.index}, ${it.at}) erased ${it.parts} parts of events.`,
    ),
  ];
  const findings = report.findings.map((finding) => {
    const { index, line, what, expected, actual } = finding;
    const where =
      index !== undefined ? `leaf ${index}` : line !== undefined ? `line ${line}` : "log";
    const hashes =
      expected === undefined ? "" : `\n  expected ${expected}\n  actual   ${actual ?? "none"}`;
    return `${where}: ${what}${hashes}`;
  });
  const more = report.findingsInAll - report.findings.length;
  const body = [
    ...lines.map(([label, value]) => `${label.padEnd(18)}${value}`),
    ...told,
    ...report.warnings.map((warning) => `Warning: ${warning}`),
    verified
      ? "Verified: this is the log that was signed, whole and unaltered."
      : `NOT VERIFIED: ${report.findingsInAll} findings.`,
    ...findings,
    ...(more > 0 ? [`… and ${more} more.`] : []),
  ];
  return printable(body.join("\n"));
}

function verifier(text: string): string {
  if (isVerifierKey(text)) return text.trim();
  throw new InvalidArgumentError("Give a verifier key, as x3sproxy audit checkpoint prints it.");
}

function unreadable(file: string, error: unknown): unknown {
  if (error instanceof Failure) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined) return error;
  return new Failure("file_unreadable", `${file} can't be read (${code}).`);
}
