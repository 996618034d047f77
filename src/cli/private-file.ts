// A file that is written piece by piece and is there only once it is whole: readable by its owner alone from its first moment. Must
// never write through a symbolic link, nor leave half of it under its name.
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { lstat, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../platform/unknown-values.ts";
import { Failure } from "./failure.ts";

/**
 * Writes `chunks` to `path`, in place of what was there, durably. Resolves to the number of bytes. Throws Failure, which `chunks` may
 * throw, too. Whatever interrupts it, no part of it stays.
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

/** A signal ends us as it would have, but not before the file is gone. Returns what ends that. */
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

// A file that was just put into its folder, made to stay there.

/** So that the name outlives a crash, too; not every file system can. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}
