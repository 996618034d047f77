// Checks the machine and the runtime, as this process sees them.
import { readFile } from "node:fs/promises";
import type { Findings } from "./finding.ts";

const LEAST_NODE = 24;
const LEAST_FILES = 4096;

export async function checkMachine(findings: Findings): Promise<void> {
  checkNode(process.versions.node, findings);
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => undefined);
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? "")?.[1];
  if (soft === undefined) findings.skip("open-files", "this system does not tell its limit");
  else if (soft !== "unlimited" && Number(soft) < LEAST_FILES) {
    findings.add("Machine", "warning", "open-files", {
      what: `A process started from here may open ${soft} files.`,
      why: "Each stream takes two: past that, calls are refused.",
      fix: "ulimit -n 65536, or LimitNOFILE=65536 in the service's unit",
    });
  } else
    findings.ok("Machine", "open-files", `A process started from here may open ${soft} files.`);
}

/** `version`: Node's version, as in 24.1.0. */
export function checkNode(version: string, findings: Findings): void {
  if (Number(version.split(".")[0]) >= LEAST_NODE) {
    findings.ok("Machine", "node-version", `Node ${version}.`);
    return;
  }
  findings.add("Machine", "warning", "node-version", {
    what: `This is Node ${version}.`,
    why: `Security fixes come for Node ${LEAST_NODE} and newer.`,
    fix: "npm ci (it brings a Node of its own), or install a newer one",
  });
}
