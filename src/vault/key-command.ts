// Master keys from the standard output of a command, for any key service or password manager. The command runs without a shell and gets
// none of our settings. Its output is bounded, and must never be logged or quoted.
import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable } from "node:stream";
import { ConfigError } from "../platform/errors.ts";
import { MAX_TEXT_BYTES } from "./key-text.ts";

export const COMMAND_SETTING = "X3SPROXY_MASTER_KEY_COMMAND";
const TIMEOUT_MS = 30_000;

/**
 * Splits a command line into words at white space. Single quotes keep everything, double quotes everything but `\"` and `\\`; outside
 * of quotes a backslash keeps the next character. Nothing else is special. Throws ConfigError for an open quote, and for no words.
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

/** Runs the command and parses its output. Throws ConfigError when it fails, writes too much or takes longer than `timeoutMs`. */
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

/** Fills `output`; resolves to the number of bytes. */
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
      // Give it its own process group, so that its child processes can be ended with it.
      child = spawn(program, args, {
        env: o.environment,
        stdio: ["ignore", "pipe", "ignore"],
        detached: true,
      });
    } catch (error) {
      notStarted(error); // spawn throws for some errors and emits others
      return;
    }
    // Also runs when this process exits: signals to it do not reach the other group.
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended already.
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
