// x3sproxy doctor: finds what to mend before a deployment is exposed. Runs on the service's machine, with its settings.
import type { Command } from "commander";
import type { Clock } from "../platform/clock.ts";
import { readConfig } from "../platform/config.ts";
import type { Examination, Finding, Severity, Skipped } from "../doctor/index.ts";
import { examples, reports } from "./output.ts";
import { printable } from "./failure.ts";

const GROUPS = ["TLS", "Access", "Files", "Database", "Network", "Machine", "Upkeep"] as const;
const WORST_FIRST = ["critical", "warning", "note", "ok"] as const;
const MARGIN = " ".repeat(12);
const COLOURS: Readonly<Record<Severity, string>> = {
  ok: "\u001b[32m",
  note: "\u001b[36m",
  warning: "\u001b[33m",
  critical: "\u001b[31m",
};

export function addDoctorCommand(program: Command, clock: Clock): void {
  reports(
    program
      .command("doctor")
      .description(
        "look at a deployment before it is exposed; run it on the service's machine with its settings. Exit status 1: something is critical",
      )
      .option("--offline", "don't try to reach the providers")
      .addHelpText("after", examples("x3sproxy doctor", "x3sproxy doctor --offline --json")),
    async (_args, command) => {
      const offline = command.opts<{ offline?: true }>().offline === true;
      const config = readConfig();
      const { examine } = await import("../doctor/index.ts");
      const result = await examine(config, { clock, offline });
      if (result.findings.some(({ severity }) => severity === "critical")) process.exitCode = 1;
      return { json: result, text: describe(result) };
    },
  );
}

function describe({ findings, skipped }: Examination): string {
  const lines: string[] = [];
  for (const group of GROUPS) {
    const own = findings.filter((each) => each.group === group);
    if (own.length === 0) continue;
    lines.push(group);
    for (const severity of WORST_FIRST) {
      for (const each of own) if (each.severity === severity) lines.push(...linesOf(each));
    }
    lines.push("");
  }
  if (skipped.length > 0) lines.push("Not looked at", ...skippedLines(skipped), "");
  const count = (severity: Severity, one: string, more: string): string => {
    const found = findings.filter((each) => each.severity === severity).length;
    return `${found} ${found === 1 ? one : more}`;
  };
  const [critical, warnings, notes, fine] = [
    count("critical", "critical", "critical"),
    count("warning", "warning", "warnings"),
    count("note", "note", "notes"),
    count("ok", "in order", "in order"),
  ];
  lines.push(`${critical}, ${warnings}, ${notes}, ${fine}, ${skipped.length} not looked at.`);
  return lines.join("\n");
}

function linesOf(finding: Finding): string[] {
  const { severity } = finding;
  // Names (of database roles, say) may be chosen by others. Their control sequences must not reach a terminal.
  const [what, why, fix] = [finding.what, finding.why, finding.fix].map(oneLine);
  const mark = coloured(severity, severity.padEnd(9));
  if (severity === "ok") return [`  ${mark} ${what}`];
  return [`  ${mark} ${what}`, `${MARGIN}${why}`, `${MARGIN}Fix: ${fix}`];
}

/** Groups the skipped checks by their reason. */
function skippedLines(skipped: readonly Skipped[]): string[] {
  const whys = Map.groupBy(skipped, ({ why }) => why);
  return [...whys].map(
    ([why, each]) => `  ${each.map(({ id }) => id).join(", ")}: ${oneLine(why)}`,
  );
}

function oneLine(text: string): string {
  return printable(text.replaceAll("\n", " "));
}

function coloured(severity: Severity, text: string): string {
  return process.stdout.isTTY && process.stdout.hasColors()
    ? `${COLOURS[severity]}${text}\u001b[0m`
    : text;
}
