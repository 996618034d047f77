// What a command prints as its result, and what becomes of it when nobody takes it: a reader that has gone, a disk that is full. Must never
// take a part for the whole.
import { fstatSync, writeFileSync } from "node:fs";
import { codeOf } from "../unknown-values.ts";

/** Standard output didn't take all of a result. */
export class OutputLost extends Error {
  override name = "OutputLost";
  /** Whether its reader has gone, as `head` does: then there is nobody to tell, and nothing wrong. */
  readonly isClosedPipe: boolean;

  constructor(error: unknown) {
    const code = codeOf(error) ?? "unknown error";
    const why = code === "ENOSPC" ? `the disk is full (${code})` : code;
    super(`Standard output can't be written: ${why}. What was printed is not whole.`);
    this.isClosedPipe = code === "EPIPE";
  }
}

/**
 * From now on what can't be written ends the process neither with a stack trace nor as if all were well. What a command has to say on
 * standard error it says for people: where that is lost the command goes on, and only its exit status tells.
 */
export function watchOutput(): void {
  process.stdout.on("error", () => undefined); // print() rejects
  process.stderr.on("error", () => {
    process.exitCode ??= 1;
  });
}

/** Writes to standard output, and resolves once all of it is with the system. Rejects with OutputLost. */
export async function print(what: string | Uint8Array): Promise<void> {
  const { stdout } = process;
  try {
    // Node writes to a file once, and takes no notice when only a part fits.
    if (isFileOrDevice(stdout)) writeFileSync(stdout.fd, what);
    else await written(stdout, what);
  } catch (error) {
    throw new OutputLost(error);
  }
}

function isFileOrDevice(stdout: typeof process.stdout): boolean {
  const stat = fstatSync(stdout.fd);
  return stat.isFile() || (stat.isCharacterDevice() && !stdout.isTTY);
}

function written(stdout: NodeJS.WriteStream, what: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(what, (error) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}
