// Questions to the user, on standard error. A secret's value comes from a hidden prompt or from standard input, never from an argument.
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { Failure } from "./failure.ts";

const MAX_VALUE_BYTES = 16 * 1024;

/** Reads a secret, hidden on a terminal. White space around it is removed. */
export async function readSecret(prompt: string): Promise<string> {
  if (!process.stdin.isTTY) return (await readAll()).trim();
  // readline turns the terminal's echo off and echoes by itself: here, to nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  try {
    return (await ask(prompt, nowhere)).trim();
  } finally {
    process.stderr.write("\n");
  }
}

/** Asks for a yes on a terminal. Without a terminal it takes the command itself as a yes. */
export async function confirm(question: string, yes: true | undefined): Promise<void> {
  if (yes === true || !process.stdin.isTTY) return;
  const answer = await ask(`${question} [y/N] `, process.stderr);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Failure("not_confirmed", "Nothing was done.");
}

/** Asks for a line that is shown while it is typed. Undefined without a terminal. */
export async function typed(question: string): Promise<string | undefined> {
  return process.stdin.isTTY ? (await ask(question, process.stderr)).trim() : undefined;
}

function ask(question: string, echo: NodeJS.WritableStream): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: echo, terminal: true });
  // Ask once readline has the terminal: before that, the terminal itself would echo what is typed.
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    lines.once("line", (line) => {
      resolve(line);
      lines.close();
    });
    // Ctrl-C and Ctrl-D.
    lines.once("close", () => reject(new Failure("not_confirmed", "Nothing was done.")));
  });
}

async function readAll(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_VALUE_BYTES) {
      throw new Failure("value_too_long", "Standard input is too long to be a provider's key.");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const LEAST_PASSPHRASE = 12;

/** Asks twice for a new passphrase. Standard input gives it once. */
export async function readNewPassphrase(): Promise<string> {
  const passphrase = await readSecret("Passphrase for the backup, not shown: ");
  if (/[\r\n]/.test(passphrase)) {
    throw new Failure(
      "passphrase_not_one_line",
      "The passphrase has more than one line, which nobody could type again. Standard input gives it once.",
    );
  }
  if (passphrase.length < LEAST_PASSPHRASE) {
    throw new Failure(
      "passphrase_too_short",
      `The passphrase is too short: take ${LEAST_PASSPHRASE} characters or more. Whoever has the file can try for as long as they like.`,
    );
  }
  if (process.stdin.isTTY && (await readSecret("Once more: ")) !== passphrase) {
    throw new Failure("passphrases_differ", "The two are not the same. Nothing was done.");
  }
  return passphrase;
}
