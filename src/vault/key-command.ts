// Master keys from a command's standard output: any key service or password manager. It is run without a shell, and gets none of our
// own settings. What it writes is bounded, and never repeated.
import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable } from "node:stream";
import { ConfigError } from "../platform/errors.ts";
import { MAX_TEXT_BYTES } from "./key-text.ts";

export const COMMAND_SETTING = "X3SPROXY_MASTER_KEY_COMMAND";
const TIMEOUT_MS = 30_000;

/**
 * The words of a command line: split at white space; single quotes keep everything, double quotes everything but `\"` and `\\`, and a
 * backslash outside of quotes the next character. Nothing else has a meaning. Throws ConfigError for an open quote, and for no words.
 */
export function splitCommand(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  const token = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)|(.)/gsy;
  for (const [text, single, double, escaped, bare, odd] of line.matchAll(token)) {
    if (odd !== undefined) {
      throw new ConfigError(`${COMMAND_SETTING}: there is a quotation mark that is not closed`);
    }
    const part = single ?? double?.replace(/\\(["\\])/g, "$1") ?? escaped ?? bare;
    if (part !== undefined) word = (word ?? "") + part;
    else if (text.trim() === "" && word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  if (words.length === 0) throw new ConfigError(`${COMMAND_SETTING}: give a command`);
  return words;
}

/** Runs the command and gives what it wrote to `parse`. Throws ConfigError when it fails, writes too much or takes too long. */
export async function readFromCommand<T>(
  line: string,
  environment: NodeJS.ProcessEnv,
  parse: (text: string) => T,
  timeoutMs = TIMEOUT_MS,
): Promise<T> {
  const [program = "", ...args] = splitCommand(line);
  const output = Buffer.alloc(MAX_TEXT_BYTES);
  try {
    const length = await run(program, args, { environment, output, timeoutMs });
    return parse(output.toString("latin1", 0, length));
  } finally {
    output.fill(0);
  }
}

/** Fills `output`; resolves to how much there is. */
function run(
  program: string,
  args: readonly string[],
  o: { environment: NodeJS.ProcessEnv; output: Buffer; timeoutMs: number },
): Promise<number> {
  const { output } = o;
  return new Promise((resolve, reject) => {
    const fail = (why: string): void =>
      reject(
        new ConfigError(
          `${COMMAND_SETTING}: the command ${why}. Run it by hand to see what it says`,
        ),
      );
    const notStarted = (error: unknown): void => {
      const { code } = error as NodeJS.ErrnoException;
      fail(`can't be started (${code ?? "unknown error"})`);
    };
    let child: ChildProcessByStdio<null, Readable, null>;
    try {
      // In a process group of its own, so that whatever it starts ends with it.
      child = spawn(program, args, {
        env: o.environment,
        stdio: ["ignore", "pipe", "ignore"],
        detached: true,
      });
    } catch (error) {
      notStarted(error); // some reasons it throws, and others it emits
      return;
    }
    // Also when we are ended while we wait: no signal to us reaches that group.
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended.
      }
      child.stdout.destroy();
    };
    process.once("exit", end);
    let length = 0;
    const timer = setTimeout(() => {
      fail(`did not end within ${Math.ceil(o.timeoutMs / 1000)} s`);
      end();
    }, o.timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => {
      const copied = chunk.copy(output, length);
      length += copied;
      const fits = copied === chunk.length;
      chunk.fill(0);
      if (fits) return;
      fail("writes too much to be a master key");
      end();
    });
    const ended = (): void => {
      clearTimeout(timer);
      process.off("exit", end);
    };
    child.once("error", (error) => {
      ended();
      notStarted(error);
    });
    child.once("close", (status, signal) => {
      ended();
      if (status === 0) resolve(length);
      else
        fail(signal === null ? `ended with the exit status ${status}` : `was ended by ${signal}`);
    });
  });
}
