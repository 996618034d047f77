// How a command fails, in words for the user. Must never repeat a value that could be a key.
import type { Candidate } from "../contract/index.ts";
import { ConfigError, StoreUnavailableError, WorkerFailure } from "../platform/errors.ts";
import { errorFields, type Log } from "../platform/log.ts";
import { escapeHidden } from "../platform/visible-text.ts";
import { looksLikeKey } from "../providers/index.ts";

export type { Candidate };

/** Node's error if it can't listen. */
type ListenError = NodeJS.ErrnoException & { address: string; port: number };

/** A command failed: exit status 1. The message says what to do next. */
export class Failure extends Error {
  override name = "Failure";
  /** Stable, for programs. If the admin API refused, its code. */
  readonly code: string;
  /** The version of a new key that was saved but not made active. */
  readonly candidate: Candidate | undefined;

  constructor(code: string, message: string, candidate?: Candidate) {
    super(message);
    this.code = code;
    this.candidate = candidate;
  }
}

/** What to print for `error`: its message if it was written for people, else the error's type and place. */
export function describeError(error: unknown): string {
  if (error instanceof Failure || error instanceof ConfigError) return escapeHidden(error.message);
  if (error instanceof StoreUnavailableError) {
    return `${escapeHidden(error.message)}. Is the server of DATABASE_URL running, and are its user, password and database right?`;
  }
  const { errorName, errorCode } = errorFields(error);
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  return [
    `unexpected ${errorName}${errorCode === undefined ? "" : ` (${errorCode})`}`,
    ...frames,
  ].join("\n");
}

/** Escapes invisible characters, some of which control a terminal: for texts that another server may have sent. */
export { escapeHidden as printable };

/** A typed name for a message; left out if it may be a key that was typed in its place. */
export function quoted(name: string): string {
  return looksLikeKey(name) ? "…" : name;
}

/** The form of our options. No key looks like this. */
const OPTION = /^--[a-z-]+ <[a-z:]+>$/;

/** Removes from a usage error all quoted text that could be a key. */
export function maskArguments(text: string): string {
  return text
    .replace(/(but got \d+):.*/s, "$1. A key's value comes from a prompt or standard input.\n")
    .replace(/'([^'=\n]*)((?:=[^'\n]*)?)'/g, (_quoted, head: string, rest: string) =>
      head.length > 20 && !OPTION.test(head) ? "'…'" : rest === "" ? `'${head}'` : `'${head}=…'`,
    );
}

/** Throws `error`, which came while starting, as a Failure for people. */
export function explainStart(error: unknown): never {
  if (error instanceof WorkerFailure) throw new Failure(error.code, error.message);
  const { code, syscall, address, port } = error as Partial<ListenError>;
  if (syscall !== "listen") throw error;
  throw new Failure(
    "address_unavailable",
    `Can't listen on ${address ?? "?"}:${port ?? "?"} (${code ?? "?"}). Is the service running already? ` +
      "Other addresses: X3SPROXY_PROXY_ADDR, X3SPROXY_ADMIN_ADDR, X3SPROXY_METRICS_ADDR.",
  );
}

/** In place of Node's own report, which prints the error's message: a library's message can quote a key. */
export function crash(error: unknown, log: Log): never {
  log.error("crashed", errorFields(error));
  process.stderr.write(`x3sproxy: ${describeError(error)}\n`);
  process.exit(1);
}
