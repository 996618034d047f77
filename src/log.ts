// The log: JSON lines with allow-listed fields. Callers pass only fields of LogFields, so that nothing that nobody
// thought of (a header, a URL with a query, an error's message from a library) can reach it. Lines go out in batches; a
// reader that has stopped reading neither blocks the service nor fills its memory.
import { systemClock } from "./clock.ts";
import { openLogOutput, type LogDestination, type LogTarget } from "./log-output.ts";
import { asText } from "./log-text.ts";

/** Every field that a log line may have. None of them may ever hold a credential, a body or a query string. */
export interface LogFields {
  exchangeId?: string | undefined;
  backupId?: string | undefined;
  workspaceId?: string | undefined;
  agentId?: string | undefined;
  agent?: string | undefined;
  deployment?: number | undefined;
  provider?: string | undefined;
  secretId?: string | undefined;
  secretVersion?: number | undefined;
  method?: string | undefined;
  path?: string | undefined;
  status?: number | undefined;
  outcome?: string | undefined;
  reason?: string | undefined;
  /** Of a call that was cut: why. */
  cutBy?: string | undefined;
  requestBytes?: number | undefined;
  responseBytes?: number | undefined;
  firstByteMs?: number | undefined;
  totalMs?: number | undefined;
  websocket?: boolean | undefined;
  /** Of the client's trace, and its span in it. */
  traceId?: string | undefined;
  spanId?: string | undefined;
  /** The names that the client and the upstream give the request. */
  clientRequestId?: string | undefined;
  upstreamRequestId?: string | undefined;
  remoteAddress?: string | undefined;
  apiKeyId?: string | undefined;
  userId?: string | undefined;
  route?: string | undefined;
  /** Of the service: which of its components or jobs. */
  part?: string | undefined;
  errorId?: string | undefined;
  errorName?: string | undefined;
  errorCode?: string | undefined;
  address?: string | undefined;
  count?: number | undefined;
  durationMs?: number | undefined;
  signal?: string | undefined;
  /** Of the line's subject; a worker's own lines have its number anyway. */
  worker?: number | undefined;
  /** A master key's id. */
  masterKey?: string | undefined;
  rewrapped?: number | undefined;
  /** Which row of the database, in words. */
  row?: string | undefined;
  /** On whose behalf a call was made, by names that the agent gives. */
  context?: Readonly<Record<string, string>> | undefined;
}

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

const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 };
type Level = keyof typeof LEVELS;

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
  const least = LEVELS[o.level];
  const origin = o.worker === undefined ? "" : `"worker":${o.worker},`;
  let stampedMs = 0;
  let stamp = "";
  const writeAt =
    (number: number): Write =>
    (message, fields = {}, atMs = systemClock.nowMs()) => {
      if (atMs !== stampedMs) {
        stampedMs = atMs;
        stamp = new Date(atMs).toISOString();
      }
      const rest = JSON.stringify(fields).slice(1);
      const comma = rest === "}" ? "" : ",";
      destination.write(
        `{"level":${number},"time":"${stamp}",${origin}"msg":${JSON.stringify(message)}${comma}${rest}\n`,
      );
    };
  const at = (level: Level): Write => (LEVELS[level] < least ? drop : writeAt(LEVELS[level]));
  // Said at every level: whoever reads the log has to know that it is not all there.
  const sayDropped = writeAt(LEVELS.warn);
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
