// Checks the modes of private files, and the free space for files that the service writes.
import { stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../platform/config.ts";
import { failureOf, type Findings } from "./finding.ts";

const LEAST_FREE_BYTES = 1e9;
const LEAST_FREE_PART = 0.1;

interface Wanted {
  readonly id: string;
  readonly path: string;
  /** What the file is: a sentence. */
  readonly what: string;
  readonly mode: "600" | "700";
  /** What to do if it is missing. Undefined: it may be. */
  readonly absent?: string;
}

export async function checkFiles(config: Config, findings: Findings): Promise<void> {
  const { dataDir, tls } = config;
  const inside = (id: string, name: string, what: string): Wanted => {
    return { id, path: join(dataDir, name), what, mode: "600" };
  };
  const wanted: (Wanted | undefined)[] = [
    { id: "data-folder-mode", path: dataDir, what: "the data folder", mode: "700" },
    inside("admin-key-mode", "admin-api-key", "the owner's API key"),
    inside("database-password-mode", "postgres-password", "the database's password"),
    await masterKeyFile(config),
    tls && { id: "tls-key-mode", path: tls.keyFile, what: "the TLS key's file", mode: "600" },
  ];
  for (const each of wanted) {
    if (each !== undefined) await checkMode(each, findings);
  }
  await checkSpace(config, findings);
}

/** Undefined if the key is in no file, or only encrypted in one. */
async function masterKeyFile({
  masterKey,
  dataDir,
  databaseUrl,
}: Config): Promise<Wanted | undefined> {
  const common = {
    id: "master-key-mode",
    what: "the master key's file",
    mode: "600",
  } as const;
  if (masterKey === undefined) {
    if (databaseUrl !== undefined) return undefined;
    const path = join(dataDir, "master.key");
    const hasCluster = await stat(join(dataDir, "postgres")).catch(() => undefined);
    if (hasCluster === undefined) return { ...common, path };
    return { ...common, path, absent: `Bring ${path} back from where you keep a copy of it` };
  }
  if (!("file" in masterKey)) return undefined;
  return {
    ...common,
    path: masterKey.file,
    absent: "Let X3SPROXY_MASTER_KEY_FILE name the file of the key",
  };
}

async function checkMode(
  { id, path, what, mode, absent }: Wanted,
  findings: Findings,
): Promise<void> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch (error) {
    const code = failureOf(error);
    // Don't show the path: it may be a key in the wrong variable.
    if (code !== "ENOENT") findings.skip(id, `${what} can't be looked at (${code})`);
    else if (absent === undefined) findings.skip(id, `${what} is not there`);
    else {
      findings.add("Files", "critical", id, {
        what: `${what.replace(/^t/, "T")} is not there.`,
        why: "The service does not start without it, and what is sealed under it can't be had again.",
        fix: absent,
      });
    }
    return;
  }
  const own = process.getuid?.() ?? found.uid;
  const quoted = `'${path.replaceAll("'", String.raw`'\''`)}'`;
  if ((found.mode & 0o077) !== 0) {
    findings.add("Files", "critical", id, {
      what: `Other users of this machine can get at ${what} (mode ${(found.mode & 0o777).toString(8)}).`,
      why: "Whoever reads it can act as the service.",
      fix: `chmod ${mode} ${quoted}`,
    });
  } else if (found.uid !== own && own !== 0) {
    findings.add("Files", "warning", id, {
      what: `Another user (${found.uid}) owns ${what}.`,
      why: "That user can read and change it.",
      fix: `chown ${own} ${quoted}`,
    });
  } else if (found.uid !== own) {
    findings.ok("Files", id, `Only the user ${found.uid} and root can read ${what}.`);
  } else findings.ok("Files", id, `Nobody else can read ${what}.`);
}

async function checkSpace({ dataDir, databaseUrl }: Config, findings: Findings): Promise<void> {
  let room: Awaited<ReturnType<typeof statfs>>;
  try {
    room = await statfs(dataDir);
  } catch (error) {
    const code = failureOf(error);
    findings.skip(
      "disk-space",
      code === "ENOENT"
        ? "the data folder is not there"
        : `the data folder can't be looked at (${code})`,
    );
    return;
  }
  const free = room.bavail * room.bsize;
  const part = room.bavail / Math.max(1, room.blocks);
  if (free >= LEAST_FREE_BYTES || part >= LEAST_FREE_PART) {
    findings.ok("Machine", "disk-space", "There is room in the data folder.");
    return;
  }
  const isOwn = databaseUrl === undefined;
  findings.add("Machine", "warning", "disk-space", {
    what: `The data folder's disk is nearly full: ${Math.floor(free / 1e6)} MB are free.`,
    why: isOwn
      ? "A full disk stops the embedded database, and with it all calls."
      : "What the service writes there gets lost.",
    fix: `Make room on the volume of ${dataDir}${isOwn ? ", or set DATABASE_URL" : ", or set X3SPROXY_DATA_DIR"}`,
  });
}
