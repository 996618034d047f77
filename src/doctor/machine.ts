// The machine and the runtime.
import { readFile } from "node:fs/promises";
import type { Findings } from "./finding.ts";

const LEAST_NODE = 24;
const LEAST_FILES = 4096;

export async function checkMachine(findings: Findings): Promise<void> {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < LEAST_NODE) {
    findings.add("Machine", "warning", "node-version", {
      what: `This is Node ${process.versions.node}.`,
      why: `Security fixes come for Node ${LEAST_NODE} and newer.`,
      fix: "npm ci (it brings a Node of its own), or install a newer one",
    });
  } else findings.ok("Machine", "node-version", `Node ${process.versions.node}.`);
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => undefined);
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? "")?.[1];
  if (soft === undefined) findings.skip("open-files", "this system does not tell its limit");
  else if (soft !== "unlimited" && Number(soft) < LEAST_FILES) {
    findings.add("Machine", "warning", "open-files", {
      what: `A process may open ${soft} files.`,
      why: "Each stream takes two: past that, calls are refused.",
      fix: "ulimit -n 65536, or LimitNOFILE=65536 in the service's unit",
    });
  } else findings.ok("Machine", "open-files", `A process may open ${soft} files.`);
}
