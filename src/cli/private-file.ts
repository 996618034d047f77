// Writes a file in pieces that appears only once it is complete, and is readable only by its owner from the start. Must never write through
// a symbolic link, or leave a part under its name.
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { lstat, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../platform/unknown-values.ts";
import { Failure } from "./failure.ts";

/**
 * Writes `chunks` durably to `path`, replacing any file there. Resolves to the number of bytes. Throws Failure, also from `chunks`. If it
 * is interrupted, no part remains.
 */
export async function writePrivateFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  const there = await lstat(path).catch(() => undefined);
  if (there !== undefined && !there.isFile()) {
    throw new Failure("file_refused", `${path} is no plain file. Name a file.`);
  }
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  const stopWatching = removeWhenInterrupted(temporary);
  const file = await open(temporary, "wx", 0o600).catch((error: unknown) => {
    stopWatching();
    throw unwritable(path, error);
  });
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    await rename(temporary, path);
    await syncFolder(dirname(path));
    return bytes;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error instanceof Failure ? error : unwritable(path, error);
  } finally {
    stopWatching();
    await file.close();
  }
}

/** Until the returned function is called, a signal first removes the file, then ends the process as usual. */
function removeWhenInterrupted(path: string): () => void {
  const listeners = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((signal) => {
    const listener = (): void => {
      rmSync(path, { force: true });
      process.kill(process.pid, signal);
    };
    process.once(signal, listener);
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  };
}

function unwritable(path: string, error: unknown): Failure {
  const code = codeOf(error) ?? "unknown error";
  const folder = code === "ENOENT" ? ` Is there a folder ${dirname(path)}?` : "";
  return new Failure("file_unwritable", `${path} can't be written (${code}).${folder}`);
}

// Makes a new file in its folder durable.

/** Syncs the folder, so that the name survives a crash. Not every file system can do this. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}
