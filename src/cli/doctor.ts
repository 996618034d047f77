// x3sproxy doctor: what to mend before a deployment is exposed, on the service's machine and with its settings.
import type { Command } from "commander";
import type { Clock } from "../clock.ts";
import { readConfig } from "../config.ts";
import type { Examination, Finding, Severity } from "../doctor/index.ts";
import { examples, reports } from "./command.ts";

const GROUPS = ["TLS", "Access", "Files", "Database", "Network", "Machine", "Upkeep"] as const;
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
    for (const each of own) lines.push(...linesOf(each));
    lines.push("");
  }
  if (skipped.length > 0) {
    lines.push("Not looked at", ...skipped.map(({ id, why }) => `  ${id}: ${why}`), "");
  }
  const count = (severity: Severity): number =>
    findings.filter((each) => each.severity === severity).length;
  lines.push(
    `${count("critical")} critical, ${count("warning")} warnings, ${count("note")} notes, ${count("ok")} in order.`,
  );
  return lines.join("\n");
}

function linesOf({ severity, what, why, fix }: Finding): string[] {
  const mark = coloured(severity, severity.padEnd(9));
  if (severity === "ok") return [`  ${mark} ${what}`];
  return [`  ${mark} ${what}`, `            ${why}`, `            Fix: ${fix}`];
}

function coloured(severity: Severity, text: string): string {
  return process.stdout.isTTY ? `${COLOURS[severity]}${text}\u001b[0m` : text;
}
