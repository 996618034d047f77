// The master key: where it is read from, how the embedded default makes its own, and the keys derived from it. Its
// bytes stay in a native key object and serve derivation alone. Nothing here prints or returns them, or writes them
// anywhere but into the file made on a first start.
import { createSecretKey, hkdfSync, randomBytes, type KeyObject } from "node:crypto";
import { access, constants, mkdir, open, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import type { Config } from "../config.ts";
import { ConfigError } from "../errors.ts";

const KEY_BYTES = 32;
const MAX_FILE_BYTES = 1024;

/** The 32-byte key that wraps every data key. Prints as `[master key <id>]`. */
export class MasterKey {
  /** Names the key and tells nothing of it: derived from it, one way. 16 hex digits. */
  readonly id: string;
  /** What the operator should know of the key's file, if anything: a sentence to log at start. */
  readonly warning: string | undefined;
  readonly #key: KeyObject;

  /** Copies `bytes` and zeroes them. */
  constructor(bytes: Buffer, warning?: string) {
    this.#key = createSecretKey(bytes);
    bytes.fill(0);
    this.warning = warning;
    this.id = this.derive("key id", 8).toString("hex");
  }

  /** A key for one purpose: HKDF-SHA-256 (RFC 5869), no salt. The caller zeroes it. */
  derive(purpose: string, lengthBytes: number): Buffer {
    return Buffer.from(hkdfSync("sha256", this.#key, "", `x3sproxy v1 ${purpose}`, lengthBytes));
  }

  toString(): string {
    return `[master key ${this.id}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/**
 * Loads the master key from the file or the value that `config` names, or else from `master.key` in the data folder of
 * the embedded default; that one is made (mode 0600) when it is absent and `mayCreate` says that no database exists yet.
 * Throws ConfigError that says what is wrong: missing, unreadable, readable by others, not base64, or its length.
 */
export async function loadMasterKey(
  config: Pick<Config, "masterKey" | "dataDir" | "databaseUrl">,
  options: { mayCreate: boolean },
): Promise<MasterKey> {
  const source = config.masterKey;
  if (source !== undefined && "value" in source) {
    return new MasterKey(decode(source.value, "X3SPROXY_MASTER_KEY"));
  }
  if (source !== undefined) {
    // The path is not quoted: it may be a key that was put into the wrong variable.
    const key = await readKeyFile(source.file, "X3SPROXY_MASTER_KEY_FILE", maySetMode);
    if (key !== undefined) return key;
    throw new ConfigError("the master key is missing: X3SPROXY_MASTER_KEY_FILE names no file");
  }
  if (config.databaseUrl !== undefined) {
    throw new ConfigError(
      "the master key is missing: with DATABASE_URL, X3SPROXY_MASTER_KEY_FILE (or X3SPROXY_MASTER_KEY) is required. " +
        "For a new database make one: openssl rand -base64 32 > master.key && chmod 600 master.key",
    );
  }
  const path = join(config.dataDir, "master.key");
  if (options.mayCreate) await createKeyFile(config.dataDir, path);
  const key = await readKeyFile(path, path, () => Promise.resolve(true));
  if (key !== undefined) return key;
  throw new ConfigError(
    `the master key is missing: ${path} is gone, and the database beside it was sealed under it. ` +
      "Restore it from your backup",
  );
}

/** Reads a key file; undefined when there is none. A file open to others is refused where its mode is ours to set. */
async function readKeyFile(
  path: string,
  spokenName: string,
  modeIsOurs: (path: string, ownerUid: number) => Promise<boolean>,
): Promise<MasterKey | undefined> {
  const unreadable = (error: unknown): ConfigError =>
    new ConfigError(`the master key can't be read from ${spokenName}: ${codeOf(error)}`);
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw unreadable(error);
  }
  try {
    const { mode, uid } = await file.stat();
    let warning: string | undefined;
    if ((mode & 0o077) !== 0) {
      const finding = `the master key's file is open to other users (mode ${(mode & 0o777).toString(8)})`;
      if (await modeIsOurs(path, uid)) {
        throw new ConfigError(`${finding}. Close it: chmod 600 '${path}'`);
      }
      warning = finding;
    }
    const content = Buffer.alloc(MAX_FILE_BYTES);
    try {
      const { bytesRead } = await file.read(content, 0, MAX_FILE_BYTES, 0);
      return new MasterKey(decode(content.toString("latin1", 0, bytesRead), spokenName), warning);
    } finally {
      content.fill(0);
    }
  } catch (error) {
    throw error instanceof ConfigError ? error : unreadable(error);
  } finally {
    await file.close();
  }
}

/** Whether we could close the file to others: it is our own, and not on a read-only mount (as Kubernetes secrets are). */
async function maySetMode(path: string, ownerUid: number): Promise<boolean> {
  if (ownerUid !== process.getuid?.()) return false;
  try {
    await access(path, constants.W_OK);
    return true;
  } catch (error) {
    return codeOf(error) !== "EROFS";
  }
}

/** Makes the key's file, durably, unless there is one. */
async function createKeyFile(dataDir: string, path: string): Promise<void> {
  const bytes = randomBytes(KEY_BYTES);
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const text = `${bytes.toString("base64")}\n`;
    await writeFile(path, text, { flag: "wx", mode: 0o600, flush: true });
    const folder = await open(dataDir, constants.O_RDONLY);
    await folder.sync().finally(() => folder.close());
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    throw new ConfigError(`the master key can't be written to ${path}: ${codeOf(error)}`);
  } finally {
    bytes.fill(0);
  }
}

/** Base64 or base64url (RFC 4648), padded or not, with white space around it, into 32 bytes. */
function decode(text: string, spokenName: string): Buffer {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(trimmed)) {
    throw new ConfigError(
      `the master key in ${spokenName} is not base64. Make one: openssl rand -base64 32`,
    );
  }
  const bytes = Buffer.from(trimmed, "base64");
  if (bytes.length !== KEY_BYTES) {
    throw new ConfigError(
      `the master key in ${spokenName} has the wrong length: ${bytes.length} bytes, and ${KEY_BYTES} are needed. ` +
        "Make one: openssl rand -base64 32",
    );
  }
  return bytes;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? "unknown error";
}
