// Files with master keys, or with master keys sealed by a key service. Refuses to read a file that other users can read, and creates
// files for their owner alone. Must never quote a path that a setting names: it may be a key.
import { randomBytes } from "node:crypto";
import { access, constants, mkdir, open, rm, type FileHandle } from "node:fs/promises";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { MAX_TEXT_BYTES } from "./key-text.ts";
import { MASTER_KEY_BYTES } from "./master-key.ts";

/** The parsed content of a file. `warning`: other users can read it, and we can't change its mode. */
export interface KeyFile<T> {
  readonly content: T;
  readonly warning: string | undefined;
}

/**
 * Parses the text of a file; undefined when there is no file. `spokenName`: how messages name it. `modeMatters`: when a file that other
 * users can read is refused; `if ours`: only if we can change its mode. Throws ConfigError.
 */
export async function readKeyFile<T>(
  path: string,
  spokenName: string,
  parse: (text: string) => T,
  modeMatters: "always" | "if ours" | "never",
): Promise<KeyFile<T> | undefined> {
  const unreadable = (error: unknown): ConfigError =>
    new ConfigError(
      `the master key can't be read from ${spokenName}: ${codeOf(error) ?? "unknown error"}`,
    );
  let file: FileHandle;
  try {
    // Without O_NONBLOCK, opening a named pipe waits for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw unreadable(error);
  }
  try {
    const status = await file.stat();
    if (!status.isFile()) {
      throw new ConfigError(`the master key can't be read: ${spokenName} names no plain file`);
    }
    const { mode, uid } = status;
    let warning: string | undefined;
    if ((mode & 0o077) !== 0 && modeMatters !== "never") {
      const finding = `the master key's file is open to other users (mode ${(mode & 0o777).toString(8)})`;
      if (modeMatters === "always" || (await maySetMode(path, uid))) {
        throw new ConfigError(`${finding}. Close it: chmod 600 '${path}'`);
      }
      warning = finding;
    }
    const content = Buffer.alloc(MAX_TEXT_BYTES + 1);
    try {
      const { bytesRead } = await file.read(content, 0, content.length, 0);
      if (bytesRead > MAX_TEXT_BYTES) {
        throw new ConfigError(
          `the master key's file is too long: ${spokenName} has more than 16 KiB`,
        );
      }
      return { content: parse(content.toString("latin1", 0, bytesRead)), warning };
    } finally {
      content.fill(0);
    }
  } catch (error) {
    throw error instanceof ConfigError ? error : unreadable(error);
  } finally {
    await file.close();
  }
}

/** Creates a file with a new master key and flushes it to disk, unless the file exists. Throws ConfigError. */
export async function createKeyFile(dataDir: string, path: string): Promise<void> {
  const bytes = randomBytes(MASTER_KEY_BYTES);
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(`${bytes.toString("base64")}\n`);
      await file.sync();
    } catch (error) {
      await rm(path, { force: true }); // an incomplete key would keep the next start from creating one
      throw error;
    } finally {
      await file.close();
    }
    const folder = await open(dataDir, constants.O_RDONLY);
    await folder.sync().finally(() => folder.close());
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    throw new ConfigError(
      `the master key can't be written to ${path}: ${codeOf(error) ?? "unknown error"}`,
    );
  } finally {
    bytes.fill(0);
  }
}

/** Whether we can change the file's mode: we own it, and it isn't on a read-only mount (as a Kubernetes secret is). */
async function maySetMode(path: string, ownerUid: number): Promise<boolean> {
  if (ownerUid !== process.getuid?.()) return false;
  try {
    await access(path, constants.W_OK);
    return true;
  } catch (error) {
    return codeOf(error) !== "EROFS";
  }
}
