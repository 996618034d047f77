// x3sproxy audit verify: checks that an export is the sealed log. With a file it works offline: without network and database.
import type { Command } from "commander";
import { download } from "./api.ts";
import { collect } from "./arguments.ts";
import { examples, reports } from "./output.ts";

interface Options {
  readonly checkpoint?: readonly string[];
  readonly key?: string;
}

/** Downloads the whole log from the service. */
export function wholeExport(): AsyncIterable<Uint8Array> {
  return download("GET /audit/export", {}, "application/jsonl");
}

/** `fetchExport` downloads an export, for use without a file. */
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
      .option("--key <key>", "the verifier key that you keep; else the export's own is taken")
      .addHelpText(
        "after",
        `\nExit status: 0 verified, 1 not verified, 2 wrong usage.\n${examples(
          "x3sproxy audit verify audit.jsonl --key x3sproxy/audit/…+…+… --checkpoint /mnt/elsewhere/checkpoints",
          "x3sproxy audit verify",
        )}`,
      ),
    async ([file], command) => {
      const { checkpoint: checkpointFiles = [], key } = command.opts<Options>();
      // Imported here, since other commands don't need it.
      const { describeReport, isVerifierKey, verifyExport } =
        await import("./audit-verification.ts");
      if (key !== undefined && !isVerifierKey(key)) {
        command.error(
          "error: option '--key <key>' argument is invalid. Give a verifier key, as x3sproxy audit checkpoint prints it.",
          { exitCode: 2 },
        );
      }
      const report = await verifyExport({
        source: file ?? fetchExport(),
        checkpointFiles,
        key,
      });
      if (!report.verified) process.exitCode = 1;
      return { json: report, text: describeReport(report) };
    },
  );
}
