// The data folder: makes it private, and locks it for one service at a time. SQLite takes a record lock of the kernel, which ends with
// its process in any case; the file beside it only names that process. Must never break the lock of another process.
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";

const SQLITE_BUSY = 5;

/** Creates the folder (mode 0700) and locks it. Throws ConfigError when it can't be used or another service has the lock. */
export function claimDataFolder(dataDir: string): { release(): void } {
  const pidFile = join(dataDir, "service.pid");
  let lock: DatabaseSync | undefined;
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    chmodSync(dataDir, 0o700);
    const lockFile = join(dataDir, "service.lock");
    writeFileSync(lockFile, "", { flag: "a", mode: 0o600 });
    lock = new DatabaseSync(lockFile);
    lock.exec("begin exclusive");
    writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  } catch (error) {
    lock?.close();
    if ((error as { errcode?: unknown }).errcode === SQLITE_BUSY) {
      throw new ConfigError(
        `X3SPROXY_DATA_DIR: ${dataDir} is in use by the service with process id ${holder(pidFile)}. ` +
          "Stop that one, or give this one another folder",
      );
    }
    throw new ConfigError(
      `X3SPROXY_DATA_DIR: can't use ${dataDir} (${codeOf(error) ?? "unknown error"})`,
    );
  }
  const held = lock;
  return {
    release() {
      rmSync(pidFile, { force: true });
      held.close();
    },
  };
}

function holder(pidFile: string): string {
  try {
    return readFileSync(pidFile, "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}
