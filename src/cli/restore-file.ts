// What `x3sproxy restore` does, and what it says of what is back.
import { createReadStream } from "node:fs";
import {
  ContainerError,
  isIdentity,
  openStream,
  passphraseIdentity,
  SealedError,
  type OpenedBy,
} from "../backup/index.ts";
import { readSmallFile } from "../platform/bounded-file.ts";
import { readConfig } from "../platform/config.ts";
import { createLog, openLog } from "../platform/log.ts";
import { codeOf } from "../platform/unknown-values.ts";
import type { Outcome } from "./output.ts";
import { Failure } from "./failure.ts";
import { exitOnSignals } from "./interruption.ts";
import { createProgress } from "./progress.ts";
import { readSecret } from "./prompt.ts";

export interface RestoreOptions {
  readonly identity?: string;
  readonly passphrase?: true;
  readonly agentsGoOn?: true;
}

/** Restores. Throws Failure, ConfigError and the like; until the last step nothing was changed. */
export async function restoreFile(path: string, options: RestoreOptions): Promise<Outcome> {
  const config = readConfig();
  const by = await openedBy(options);
  exitOnSignals();
  const { restoreBackup } = await import("../installation.ts");
  const progress = createProgress("megabytes restored");
  const { restored, audit } = await restoreBackup(
    config,
    createLog({ level: config.logLevel, destination: openLog("stderr", config.logFormat) }),
    {
      open: () => openStream(readBackup(path), by),
      suspendAgents: options.agentsGoOn !== true,
      onProgress: (bytes) => progress.report(Math.floor(bytes / 1_000_000)),
    },
  ).catch(explain);
  if (audit.problems.length > 0) {
    throw new Failure(
      "audit_not_verified",
      `Restored ${restored.rows} rows, but the audit was not whole when the backup was made:\n` +
        audit.problems.map((problem) => `  ${problem}`).join("\n"),
    );
  }
  return { json: { ...restored, audit }, text: describe(restored, audit) };
}

type Result = Awaited<ReturnType<(typeof import("../installation.ts"))["restoreBackup"]>>;

function describe(it: Result["restored"], audit: Result["audit"]): string {
  const migrated =
    it.migrated.length === 0 ? "" : `\nBrought to this version: ${it.migrated.join(", ")}.`;
  const agents = it.agentsSuspended
    ? "All agents are suspended, since tokens that were revoked after the backup are live again. Look at which agents there are " +
      "(x3sproxy agent list), end those that should be gone, then: x3sproxy agent resume --all, once in each workspace"
    : "Agents can call at once. Tokens that were revoked after the backup are live again: x3sproxy agent list";
  return [
    `Restored ${it.rows} rows, as they were at ${it.createdAt}.${migrated}`,
    `The audit holds: sealed events ${audit.leaves}, each in its workspace's tree as it was signed.`,
    "",
    "What was ended or changed after the backup is back. Before you go on:",
    `- ${agents}.`,
    `- API keys (${it.apiKeys}): delete those that were deleted since, in the dashboard.`,
    `- Users (${it.users}): remove who has left since; passwords and recovery codes are those of then.`,
    "- Keys of providers that were replaced since: set them again (x3sproxy secret set).",
    "Nobody is signed in. Invitations, reset links, registration tokens and leases are gone: make new ones.",
  ].join("\n");
}

async function openedBy({ identity, passphrase }: RestoreOptions): Promise<OpenedBy> {
  if (identity !== undefined && passphrase === true) {
    throw new Failure("usage", "Give --identity or --passphrase, not both.");
  }
  if (passphrase === true) {
    return { identities: [passphraseIdentity(await readSecret("Passphrase, not shown: "))] };
  }
  if (identity === undefined) {
    throw new Failure("usage", "Say how it is opened: --identity <file> or --passphrase.");
  }
  const bytes = await readSmallFile(identity).catch((error: unknown) => {
    throw new Failure("not_read", `--identity: the file can't be read (${codeOf(error) ?? "?"}).`);
  });
  const lines = bytes
    .toString("utf8")
    .split("\n")
    .map((line) => line.trim());
  const identities = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (identities.length === 0 || !identities.every(isIdentity)) {
    throw new Failure("identity_invalid", "--identity: the file holds no secret key of age.");
  }
  return { identities };
}

async function* readBackup(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw new Failure("not_read", `The backup can't be read (${codeOf(error) ?? "?"}).`);
  }
}

function explain(error: unknown): never {
  if (error instanceof SealedError || error instanceof ContainerError) {
    const [first = "", ...rest] = error.message;
    throw new Failure(
      "backup_refused",
      `${first.toUpperCase()}${rest.join("")}. Nothing was changed.`,
    );
  }
  throw error;
}
