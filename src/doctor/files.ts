// Modes of files that only the service may read, and room for those that it writes.
import { stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Findings } from "./finding.ts";

const LEAST_FREE_BYTES = 1e9;
const LEAST_FREE_PART = 0.1;

export async function checkFiles(config: Config, findings: Findings): Promise<void> {
  await checkMode(findings, "data-folder-mode", config.dataDir, "the data folder", "700");
  const inside = [
    ["admin-key-mode", "admin-api-key", "the owner's API key"],
    ["database-password-mode", "postgres-password", "the database's password"],
  ] as const;
  for (const [id, name, what] of inside) {
    await checkMode(findings, id, join(config.dataDir, name), what, "600");
  }
  const keyFile =
    config.masterKey === undefined
      ? join(config.dataDir, "master.key")
      : "file" in config.masterKey
        ? config.masterKey.file
        : undefined;
  if (keyFile !== undefined) {
    await checkMode(
      findings,
      "master-key-mode",
      keyFile,
      "the master key's file",
      "600",
      "critical",
    );
  }
  if (config.tls !== undefined) {
    await checkMode(
      findings,
      "tls-key-mode",
      config.tls.keyFile,
      "the TLS key's file",
      "600",
      "critical",
    );
  }
  await checkSpace(config, findings);
}

async function checkMode(
  findings: Findings,
  id: string,
  path: string,
  what: string,
  mode: string,
  severity: "warning" | "critical" = "critical",
): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    findings.skip(id, `${what} is not there, or can't be looked at`);
    return;
  }
  const own = process.getuid?.() ?? found.uid;
  if ((found.mode & 0o077) !== 0) {
    findings.add("Files", severity, id, {
      what: `Other users of this machine can get at ${what} (mode ${(found.mode & 0o777).toString(8)}).`,
      why: "Whoever reads it can act as the service.",
      fix: `chmod ${mode} '${path}'`,
    });
  } else if (found.uid !== own && own !== 0) {
    findings.add("Files", "warning", id, {
      what: `Another user (${found.uid}) owns ${what}.`,
      why: "That user can read and change it.",
      fix: `chown ${own} '${path}'`,
    });
  } else findings.ok("Files", id, `Nobody else can read ${what}.`);
}

async function checkSpace({ dataDir }: Config, findings: Findings): Promise<void> {
  const room = await statfs(dataDir).catch(() => undefined);
  if (room === undefined) {
    findings.skip("disk-space", "there is no data folder");
    return;
  }
  const free = room.bavail * room.bsize;
  const part = room.bavail / Math.max(1, room.blocks);
  if (free < LEAST_FREE_BYTES && part < LEAST_FREE_PART) {
    findings.add("Machine", "warning", "disk-space", {
      what: `The data folder's disk is nearly full: ${Math.floor(free / 1e6)} MB are free.`,
      why: "A full disk stops the embedded database, and with it all calls.",
      fix: `Make room on the volume of ${dataDir}, or set DATABASE_URL`,
    });
  } else findings.ok("Machine", "disk-space", "There is room in the data folder.");
}
