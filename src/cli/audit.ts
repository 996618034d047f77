// x3sproxy audit …: exports the audit and its checkpoints.
import { Option, type Command } from "commander";
import { call, download } from "./api.ts";
import { addVerifyCommand, wholeExport } from "./audit-verify.ts";
import { Failure, printable } from "./failure.ts";
import { examples, print, reports } from "./output.ts";
import { writePrivateFile } from "./private-file.ts";
import { createProgress } from "./progress.ts";
import { confirm } from "./prompt.ts";

interface ExportOptions {
  readonly format: "jsonl" | "csv";
  readonly output?: string;
  readonly json?: true;
}

const FILTERS = ["action", "actor", "target", "from", "to"] as const;

export function addAuditCommands(program: Command): void {
  const audit = program
    .command("audit")
    .helpCommand(false)
    .description("what was done, sealed: export it, verify it, keep its checkpoints elsewhere");

  const exporting = audit
    .command("export")
    .description("write events to a file, or to standard output, oldest first")
    .addOption(
      new Option("--format <format>", "JSON Lines can be verified, CSV is for spreadsheets")
        .choices(["jsonl", "csv"])
        .default("jsonl"),
    )
    .option("--output <file>", "in place of standard output; is there once it is whole")
    .option("--action <action>", "only events of this kind, as in secret.set")
    .option("--actor <actor>", "only what this one did: an id or a name")
    .option("--target <target>", "only what was done to this: an id or a name")
    .option("--from <time>", "only from this time on, as in 2027-01-31T00:00:00Z")
    .option("--to <time>", "only until before this time")
    .option("--json", "with --output: print what was written as one JSON document")
    .addHelpText(
      "after",
      examples(
        "x3sproxy audit export --output audit.jsonl",
        "x3sproxy audit export --format csv --from 2027-01-01T00:00:00Z --output january.csv",
      ),
    );
  exporting.action(async () => {
    const options = exporting.opts<ExportOptions & Partial<Record<string, string>>>();
    const { format, output, json } = options;
    if (json === true && output === undefined) {
      exporting.error("error: --json needs --output: the export itself goes there.", {
        exitCode: 2,
      });
    }
    const filters = Object.fromEntries(FILTERS.map((name) => [name, options[name]]));
    const query = { format, ...filters };
    const type = format === "jsonl" ? "application/jsonl" : "text/csv";
    const chunks = counted(download("GET /audit/export", { query }, type));
    if (output === undefined) {
      for await (const chunk of chunks) await print(chunk);
      return;
    }
    const bytes = await writePrivateFile(output, chunks);
    const text = `${output} has the export: ${bytes} bytes.`;
    await print(
      `${json === true ? JSON.stringify({ file: output, format, bytes }, null, 2) : text}\n`,
    );
  });

  reports(
    audit
      .command("checkpoint")
      .description("print the log's last checkpoint, to be kept elsewhere")
      .addHelpText(
        "after",
        examples(
          "x3sproxy audit checkpoint >> /mnt/elsewhere/checkpoints",
          "x3sproxy audit checkpoint --json",
        ),
      ),
    async () => {
      const found = await call("GET /audit/checkpoint");
      if (found.checkpoint === null) {
        throw new Failure(
          "not_sealed",
          "Nothing is sealed yet. That takes about a second: try again.",
        );
      }
      process.stderr.write(
        `Verifier key, to be kept elsewhere, too:\n${found.verifierKey}\n` +
          `${found.size} events are sealed, ${found.waiting} wait.\n`,
      );
      return { json: found, text: found.checkpoint };
    },
  );

  addVerifyCommand(audit, wholeExport);
}

async function* counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const progress = createProgress("megabytes exported");
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    progress.report(Math.floor(bytes / 1_000_000));
    yield chunk;
  }
}

// x3sproxy audit erase: erases a person from the audit, at that person's request. For owners.

export function addAuditErasure(program: Command): void {
  const audit =
    program.commands.find((command) => command.name() === "audit") ??
    program.command("audit").helpCommand(false).description("what was done, by whom");

  reports(
    audit
      .command("erase <user>")
      .description("take a deleted user, by e-mail or id, out of the audit; what was done stays")
      .option("--yes", "don't ask")
      .addHelpText("after", examples("x3sproxy audit erase ada@example.com --yes")),
    async ([user = ""], command) => {
      const { yes } = command.opts<{ yes?: true }>();
      const name = printable(user);
      await confirm(`Erase ${name} from the audit? This can't be undone.`, yes);
      const { erasure } = await call("POST /audit/erasures", { body: { user } });
      return { json: erasure, text: describe(name, erasure) };
    },
  );
}

function describe(
  name: string,
  { parts, waiting, others }: { parts: number; waiting: number; others: number },
): string {
  if (parts + waiting + others === 0) return `Nothing is left of ${name}.`;
  const done = `Erased ${name}: ${quantity(parts, "part")} of events, ${quantity(others, "row")} beside the audit.`;
  return waiting === 0
    ? done
    : `${done}\n${quantity(waiting, "part")} not sealed yet. Run it again in a minute.`;
}

function quantity(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
