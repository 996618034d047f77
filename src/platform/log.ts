// The log: pino writes JSON lines of allow-listed fields. A field that isn't in FIELDS is dropped, so that no header, URL with a query or
// library's message can reach a line by mistake. Lines are written in batches. A reader that stops reading neither blocks the service
// nor fills its memory.
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
  /** Why a call was cut. */
  cutBy: "string",
  requestBytes: "number",
  responseBytes: "number",
  firstByteMs: "number",
  totalMs: "number",
  websocket: "boolean",
  /** The client's trace, and its span. */
  traceId: "string",
  spanId: "string",
  /** The ids that client and upstream give the request. */
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
  /** The worker that the line is about. A worker's own lines have its number anyway. */
  worker: "number",
  /** A master key's id. */
  masterKey: "string",
  rewrapped: "number",
  /** The component or job of the service. */
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

// A map: twice as fast as an object with so many members.
const TYPES = new Map<string, string>(Object.entries(FIELDS));

/** `atMs`: when it happened, if not now: wall clock, milliseconds since the Unix epoch. */
type Write = (message: string, fields?: LogFields, atMs?: number) => void;

export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** Resolves when the system has every line so far, or no line was taken for a second. */
  flush(): Promise<void>;
  /** How many lines were dropped so far because the reader was too slow. */
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
  // The fields of the line that pino is writing, as JSON. With twenty fields pino's own way takes three times as long.
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
  // Written at every level: readers must know that lines are missing.
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

/** Loaded with the first log. Most commands make no log, and start 25 ms sooner without pino. */
function pino(): typeof Pino {
  return createRequire(import.meta.url)("pino") as typeof Pino;
}

/** `fields` without those that FIELDS lacks. Mostly `fields` itself: a copy would double the cost. */
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
 * Opens a log's destination: standard output, standard error or a file. `format` undefined: text on a terminal, else JSON. Throws
 * ConfigError if it can't be opened.
 */
export function openLog(target: LogTarget, format: "json" | "text" | undefined): LogDestination {
  const destination = openLogOutput(target);
  const stream = target === "stdout" || target === "stderr" ? process[target] : undefined;
  const isTerminal = stream?.isTTY === true;
  if ((format ?? (isTerminal ? "text" : "json")) === "json") return destination;
  // hasColors also reads NO_COLOR and TERM.
  return asText(destination, { colours: isTerminal && stream.hasColors() });
}

function drop(): void {
  // This level is not logged.
}

/** The name and code of an unknown error. Its message must not be logged, since libraries quote input in messages. */
export function errorFields(error: unknown): { errorName: string; errorCode?: string } {
  if (!(error instanceof Error)) return { errorName: typeof error };
  const code = (error as { code?: unknown }).code;
  return typeof code === "string"
    ? { errorName: error.name, errorCode: code }
    : { errorName: error.name };
}

/**
 * Takes a promise that nobody awaits, and logs its rejection. An unhandled one would end the process.
 */
export function logEnd(work: Promise<unknown>, log: Log, failure: string): void {
  work.catch((error: unknown) => log.error(failure, errorFields(error)));
}
