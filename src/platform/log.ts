// The log: pino writes JSON lines of allow-listed fields. What isn't in FIELDS is not written, so that nothing that nobody thought of (a
// header, a URL with a query, a library's message) can reach a line. Lines go out in batches; a reader that has stopped
// reading neither blocks the service nor fills its memory.
import { createRequire } from "node:module";
import type { pino as Pino, Logger } from "pino";
import { systemClock } from "./clock.ts";
import { openLogOutput, type LogDestination, type LogTarget } from "./log-output.ts";
import { asText } from "./log-text.ts";

/** Every field that a line may have, and its type. None of them may ever hold a credential, a body or a query string. */
const FIELDS = {
  exchangeId: "string",
  backupId: "string",
  workspaceId: "string",
  agentId: "string",
  agent: "string",
  deployment: "number",
  provider: "string",
  secretId: "string",
  secretVersion: "number",
  method: "string",
  path: "string",
  status: "number",
  outcome: "string",
  reason: "string",
  /** Of a call that was cut: why. */
  cutBy: "string",
  requestBytes: "number",
  responseBytes: "number",
  firstByteMs: "number",
  totalMs: "number",
  websocket: "boolean",
  /** Of the client's trace, and its span in it. */
  traceId: "string",
  spanId: "string",
  /** The names that the client and the upstream give the request. */
  clientRequestId: "string",
  upstreamRequestId: "string",
  remoteAddress: "string",
  apiKeyId: "string",
  userId: "string",
  route: "string",
  errorId: "string",
  errorName: "string",
  errorCode: "string",
  address: "string",
  count: "number",
  durationMs: "number",
  signal: "string",
  /** Of the line's subject; a worker's own lines have its number anyway. */
  worker: "number",
  /** A master key's id. */
  masterKey: "string",
  rewrapped: "number",
  /** Of the service: which of its components or jobs. */
  part: "string",
  /** Which row of the database, in words. */
  row: "string",
  /** On whose behalf a call was made, by names that the agent gives. */
  context: "object",
} as const;

interface Types {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
  readonly object: Readonly<Record<string, string>>;
}

export type LogFields = {
  [Name in keyof typeof FIELDS]?: Types[(typeof FIELDS)[Name]] | undefined;
};

// Found in half of the time that an object with as many members takes.
const TYPES = new Map<string, string>(Object.entries(FIELDS));

/** `atMs`: when it happened, wall clock, where that was not just now. */
type Write = (message: string, fields?: LogFields, atMs?: number) => void;

export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** Resolves when every line so far is with the system, or when nobody takes them for a second. */
  flush(): Promise<void>;
  /** How many lines were dropped so far, since nobody took them. */
  droppedLines(): number;
}

type Level = "debug" | "info" | "warn" | "error";

/**
 * Makes a log that writes one JSON object a line to `destination` (standard output by default). `worker`: each line has this
 * number.
 */
export function createLog(o: {
  level: Level | "silent";
  destination?: LogDestination;
  worker?: number;
}): Log {
  if (o.level === "silent") {
    const nothing = { flush: () => Promise.resolve(), droppedLines: () => 0 };
    return { debug: drop, info: drop, warn: drop, error: drop, ...nothing };
  }
  const destination = o.destination ?? openLogOutput("stdout");
  let stampedMs = 0;
  let stamp = "";
  // The fields of the line that pino writes now, as JSON: for twenty of them pino itself takes three times as long.
  let members = "";
  const logger = pino()(
    {
      level: o.level,
      base: o.worker === undefined ? null : { worker: o.worker },
      timestamp: () => stamp,
      hooks: {
        streamWrite: (line) =>
          members === "" ? line : `${line.slice(0, -"}\n".length)}${members}}\n`,
      },
    },
    destination,
  );
  const writeTo =
    (to: Logger, level: Level): Write =>
    (message, fields, atMs = systemClock.nowMs()) => {
      if (atMs !== stampedMs) {
        stampedMs = atMs;
        stamp = `,"time":"${new Date(atMs).toISOString()}"`;
      }
      members = fields === undefined ? "" : membersOf(listed(fields));
      to[level](message);
    };
  const at = (level: Level): Write =>
    logger.isLevelEnabled(level) ? writeTo(logger, level) : drop;
  // Said at every level: whoever reads the log has to know that it is not all there.
  const sayDropped = writeTo(logger.child({}, { level: "warn" }), "warn");
  destination.onDropped?.((count) => sayDropped("log lines were dropped", { count }));
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    flush: () => destination.flush?.() ?? Promise.resolve(),
    droppedLines: () => destination.droppedLines?.() ?? 0,
  };
}

/** Loaded with the first log: most commands make none, and start 25 ms sooner without it. */
function pino(): typeof Pino {
  return createRequire(import.meta.url)("pino") as typeof Pino;
}

/** `fields` without what isn't in FIELDS; mostly `fields` itself, since a copy would cost as much as the rest. */
function listed(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  for (const name in fields) {
    if (isListed(name, fields[name])) continue;
    return Object.fromEntries(Object.entries(fields).filter(([it, value]) => isListed(it, value)));
  }
  return fields;
}

/** The members of an object as JSON, each after a comma. */
function membersOf(fields: object): string {
  const json = JSON.stringify(fields);
  return json === "{}" ? "" : `,${json.slice(1, -1)}`;
}

function isListed(name: string, value: unknown): boolean {
  return value === undefined || typeof value === TYPES.get(name);
}

/**
 * What takes the lines of a log: standard output, standard error or a file. `format` undefined: words for people at a terminal, else
 * JSON. Throws ConfigError when it can't be opened.
 */
export function openLog(target: LogTarget, format: "json" | "text" | undefined): LogDestination {
  const destination = openLogOutput(target);
  const stream = target === "stdout" || target === "stderr" ? process[target] : undefined;
  const isTerminal = stream?.isTTY === true;
  if ((format ?? (isTerminal ? "text" : "json")) === "json") return destination;
  // Node asks NO_COLOR and TERM, too.
  return asText(destination, { colours: isTerminal && stream.hasColors() });
}

function drop(): void {
  // Nothing is wanted of this level.
}

/** The name and code of an unknown error: all of it that may be logged, since messages of libraries can quote input. */
export function errorFields(error: unknown): { errorName: string; errorCode?: string } {
  if (!(error instanceof Error)) return { errorName: typeof error };
  const code = (error as { code?: unknown }).code;
  return typeof code === "string"
    ? { errorName: error.name, errorCode: code }
    : { errorName: error.name };
}

/**
 * Where a promise goes that nobody waits for: when it rejects, that is a line of the log. Without this it would end the process.
 */
export function logEnd(work: Promise<unknown>, log: Log, failure: string): void {
  work.catch((error: unknown) => log.error(failure, errorFields(error)));
}
