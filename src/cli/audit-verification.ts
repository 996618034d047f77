// Reads an export and checkpoints that were kept elsewhere, for x3sproxy audit verify, and reports what was found.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import {
  ExportVerifier,
  NotAnExportError,
  keptLines,
  readKeptCheckpoints,
  type GivenCheckpoint,
  type VerifyReport,
} from "../audit/index.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { Failure, printable } from "./failure.ts";
import { createProgress } from "./progress.ts";

export { isVerifierKey } from "../audit/index.ts";

export interface Verification {
  /** The path of a file, or an export that is being downloaded. */
  readonly source: string | AsyncIterable<Uint8Array>;
  /** The verifier key that the caller kept. Undefined: use the one in the export. */
  readonly key: string | undefined;
  readonly checkpointFiles: readonly string[];
}

/** Throws Failure if a file can't be read, or holds no export or checkpoint. */
export async function verifyExport(given: Verification): Promise<VerifyReport> {
  const { source, key, checkpointFiles } = given;
  const { checkpoints, warnings } = await readCheckpoints(checkpointFiles);
  const verifying = new ExportVerifier({
    key,
    ...(checkpointFiles.length > 0 && { checkpoints }),
  });
  const found =
    typeof source === "string"
      ? await verify(createReadStream(source), verifying).catch((error: unknown) => {
          throw unreadable(source, error);
        })
      : await verify(source, verifying);
  return { ...found, warnings: [...found.warnings, ...warnings] };
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
    await refuseDevice(file);
    const kept = await readKeptCheckpoints(keptLines(createReadStream(file)), file).catch(
      (error: unknown) => {
        throw unreadable(file, error);
      },
    );
    if (kept.checkpoints.length === 0) {
      throw new Failure("no_checkpoint", `There is no checkpoint in ${file}.`);
    }
    // Not push(...all): there may be more than a call can take as arguments.
    for (const checkpoint of kept.checkpoints) checkpoints.push(checkpoint);
    if (kept.otherLines > 0) {
      warnings.push(
        `${kept.otherLines} lines of ${file} are not of a checkpoint, and were passed over.`,
      );
    }
  }
  return { checkpoints, warnings };
}

/** Throws Failure for a device, which may never end or give a line. Missing files are reported by the code that opens them. */
async function refuseDevice(file: string): Promise<void> {
  const stats = await stat(file).catch(() => undefined);
  if (stats?.isCharacterDevice() || stats?.isBlockDevice()) {
    throw new Failure("file_unreadable", `${file} is a device, and may never end.`);
  }
}

export function describeReport(report: VerifyReport): string {
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
      (it) =>
        `Event ${it.id} (leaf ${it.index}, ${it.at}) erased ${it.parts} part${it.parts === 1 ? "" : "s"} of events.`,
    ),
  ];
  const findings = report.findings.map((finding) => {
    const { index, line, what, expected, actual } = finding;
    const where =
      index !== undefined ? `leaf ${index}` : line !== undefined ? `line ${line}` : "log";
    const hashes =
      expected === undefined
        ? ""
        : `\n  expected ${inLine(expected)}\n  actual   ${inLine(actual ?? "none")}`;
    return `${where}: ${inLine(what)}${hashes}`;
  });
  const more = report.findingsInAll - report.findings.length;
  const body = [
    ...lines.map(([label, value]) => `${label.padEnd(18)}${inLine(value)}`),
    ...told,
    ...report.warnings.map((warning) => `Warning: ${warning}`),
    !verified
      ? `NOT VERIFIED: ${report.findingsInAll} findings.`
      : filters.length > 0
        ? "Verified: each event in it is in the log that was signed, unaltered."
        : "Verified: this is the log that was signed, whole and unaltered.",
    ...findings,
    ...(more > 0 ? [`… and ${more} more.`] : []),
  ];
  return printable(body.join("\n"));
}

/** A text that may come from the export, as a single line: no part of it may look like a line of ours. */
function inLine(text: string): string {
  return text.replace(/[\p{Zl}\p{Zp}\p{Cc}\p{Cf}]+/gu, " ");
}

function unreadable(file: string, error: unknown): unknown {
  if (error instanceof Failure) return error;
  const code = codeOf(error);
  if (code === undefined) return error;
  return new Failure("file_unreadable", `${file} can't be read (${code}).`);
}
