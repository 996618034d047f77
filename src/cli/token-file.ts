// A file for a token: readable by its owner alone from its first moment, complete whenever it is there. Must never write through a
// symbolic link, nor make a folder.
import { randomBytes } from "node:crypto";
import { lstat, open, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Failure } from "./failure.ts";
import { syncFolder } from "./private-file.ts";
import { codeOf } from "../platform/unknown-values.ts";

// As long as a token and a line's end, so that a full disk is noticed before there is a token.
const PLACEHOLDER = Buffer.alloc(64, "\n");

export interface TokenFile {
  /** Puts the file in its place. */
  write(token: string): Promise<void>;
  /** Without `write` before: leaves everything as it was. */
  close(): Promise<void>;
}

/** Makes sure that `path` can be written, without changing it yet. Throws Failure when it can't be, or when it is there. */
export async function prepareTokenFile(
  path: string,
  { replace }: { replace: boolean },
): Promise<TokenFile> {
  await checkPlace(path, replace);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  let file: FileHandle | undefined;
  try {
    file = await open(temporary, "wx", 0o600);
    await file.write(PLACEHOLDER, 0, PLACEHOLDER.length, 0);
    await file.sync();
  } catch (error) {
    await file?.close();
    if (file !== undefined) await rm(temporary, { force: true });
    throw unwritable(path, error);
  }
  const opened = file;
  let isInPlace = false;
  return {
    async write(token) {
      try {
        const bytes = Buffer.from(`${token}\n`);
        await opened.write(bytes, 0, bytes.length, 0);
        await opened.truncate(bytes.length);
        await opened.sync();
        await checkPlace(path, replace);
        await rename(temporary, path);
        isInPlace = true;
        await syncFolder(dirname(path));
      } catch (error) {
        throw error instanceof Failure ? error : unwritable(path, error);
      }
    },
    async close() {
      await opened.close();
      if (!isInPlace) await rm(temporary, { force: true });
    },
  };
}

async function checkPlace(path: string, replace: boolean): Promise<void> {
  const there = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw unwritable(path, error);
  });
  if (there === undefined) return;
  if (!there.isFile()) {
    throw new Failure(
      "file_refused",
      `${path} is ${there.isSymbolicLink() ? "a symbolic link" : "no plain file"}. Name a file.`,
    );
  }
  if (!replace) {
    throw new Failure("file_exists", `${path} is there already. --replace replaces it.`);
  }
}

function unwritable(path: string, error: unknown): Failure {
  const code = codeOf(error) ?? "unknown error";
  const folder = code === "ENOENT" ? ` Is there a folder ${dirname(path)}?` : "";
  return new Failure("file_unwritable", `${path} can't be written (${code}).${folder}`);
}
