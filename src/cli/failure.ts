// How a command fails, in words for whoever typed it. Must never repeat a value that could be a key.
import type { Candidate } from "../contract/index.ts";
import { ConfigError, StoreUnavailableError, WorkerFailure } from "../platform/errors.ts";
import { errorFields, type Log } from "../platform/log.ts";
import { escapeHidden } from "../platform/visible-text.ts";
import { looksLikeKey } from "../providers/index.ts";

export type { Candidate };

/** What Node gives when it can't listen. */
type ListenError = NodeJS.ErrnoException & { address: string; port: number };

/** A command did not do what it was asked: exit status 1. The message says what to do next. */
export class Failure extends Error {
  override name = "Failure";
  /** Stable, for programs: the admin API's code where it has refused. */
  readonly code: string;
  /** Where a new key was kept, but not made active. */
  readonly candidate: Candidate | undefined;

  constructor(code: string, message: string, candidate?: Candidate) {
    super(message);
    this.code = code;
    this.candidate = candidate;
  }
}

/** What to print for `error`: the message of those that are meant for people, of others the kind and the place. */
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

/** For what may come from a server that isn't ours: a terminal obeys some of the characters that nobody sees. */
export { escapeHidden as printable };

/** A name as somebody typed it, for a message; left out when it may be a key that was put in its place. */
export function quoted(name: string): string {
  return looksLikeKey(name) ? "…" : name;
}

/** An option as our help has it, which no key looks like. */
const OPTION = /^--[a-z-]+ <[a-z:]+>$/;

/** Shortens what a usage error quotes from the command line to what can't be a key. */
export function maskArguments(text: string): string {
  return text
    .replace(/(but got \d+):.*/s, "$1. A key's value comes from a prompt or standard input.\n")
    .replace(/'([^'=\n]*)((?:=[^'\n]*)?)'/g, (_quoted, head: string, rest: string) =>
      head.length > 20 && !OPTION.test(head) ? "'…'" : rest === "" ? `'${head}'` : `'${head}=…'`,
    );
}

/** Throws what `error`, met while starting, means to people. */
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

/** Node would print the error's message, and a library's message can quote a key. */
export function crash(error: unknown, log: Log): never {
  log.error("crashed", errorFields(error));
  process.stderr.write(`x3sproxy: ${describeError(error)}\n`);
  process.exit(1);
}
