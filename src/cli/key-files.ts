// Files of master keys, for `master-key generate`: readable only by their owner from the start, and complete whenever they exist. Must never
// write through a symbolic link, or remove a key from a file.
import { randomBytes } from "node:crypto";
import { lstat, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { readSmallFile } from "../platform/bounded-file.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { Failure } from "./failure.ts";
import { syncFolder } from "./private-file.ts";

const NEWLINE = 10;

/** Makes a file with `line`. Throws Failure if the file exists or can't be written. */
export async function writeNewFile(path: string, line: Buffer): Promise<void> {
  try {
    await writeWhole(path, line);
  } catch (error) {
    throw unwritable(path, error);
  }
  await syncFolder(dirname(path));
}

/** Appends `line` to an existing file. Its owner and mode stay. Throws Failure. */
export async function addLine(path: string, line: Buffer): Promise<void> {
  const there = await lstat(path).catch((error: unknown) => {
    throw unwritable(path, error);
  });
  if (!there.isFile()) {
    const what = there.isSymbolicLink() ? "a symbolic link" : "no plain file";
    throw new Failure("file_refused", `${path} is ${what}. Name the file itself.`);
  }
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  let before = Buffer.alloc(0);
  let whole = before;
  try {
    before = await readSmallFile(path);
    const gap =
      before.length > 0 && before.at(-1) !== NEWLINE ? Buffer.of(NEWLINE) : Buffer.alloc(0);
    whole = Buffer.concat([before, gap, line]);
    await writeWhole(temporary, whole, there);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw unwritable(path, error);
  } finally {
    before.fill(0);
    whole.fill(0);
  }
  await syncFolder(dirname(path));
}

async function writeWhole(
  path: string,
  content: Buffer,
  like?: { mode: number; uid: number; gid: number },
): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    if (like !== undefined) {
      const { uid, gid } = await file.stat();
      if (uid !== like.uid || gid !== like.gid) await file.chown(like.uid, like.gid);
      await file.chmod(like.mode & 0o777);
    }
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function unwritable(path: string, error: unknown): Failure {
  const code = codeOf(error) ?? "unknown error";
  if (code === "EEXIST") {
    return new Failure("file_exists", `${path} is there already. --add-to adds a key to it.`);
  }
  const hint = code === "ENOENT" ? " Is it there, and its folder?" : "";
  return new Failure("file_unwritable", `${path} can't be written (${code}).${hint}`);
}
