// The log: JSON lines with allow-listed fields. Callers pass only fields of LogFields, so that nothing that nobody
// thought of (a header, a URL with a query, an error's message from a library) can reach it. Lines go out in batches; a
// reader that has stopped reading neither blocks the service nor fills its memory.
import { once } from "node:events";
import sonicBoom from "sonic-boom";
import { systemClock } from "./clock.ts";

/** Every field that a log line may have. None of them may ever hold a credential, a body or a query string. */
export interface LogFields {
  exchangeId?: string | undefined;
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
  requestBytes?: number | undefined;
  responseBytes?: number | undefined;
  firstByteMs?: number | undefined;
  totalMs?: number | undefined;
  websocket?: boolean | undefined;
  upstreamRequestId?: string | undefined;
  remoteAddress?: string | undefined;
  apiKeyId?: string | undefined;
  userId?: string | undefined;
  route?: string | undefined;
  errorId?: string | undefined;
  errorName?: string | undefined;
  errorCode?: string | undefined;
  address?: string | undefined;
  count?: number | undefined;
  durationMs?: number | undefined;
  signal?: string | undefined;
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
  /** Resolves when every line so far is with the system, or when nobody reads them for a second. */
  flush(): Promise<void>;
}

export interface LogDestination {
  /** Takes whole lines. */
  write(lines: string): unknown;
  flush?(): Promise<void>;
}

const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 };
type Level = keyof typeof LEVELS;

const BATCH_MS = 50;
// Below what a pipe holds, 64 KiB. Each batch wakes a thread, so small ones cost more than their lines.
const BATCH_CHARACTERS = 60 * 1024;
// What may wait for a reader that has stopped reading. What comes on top of it is dropped, and counted.
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const FLUSH_WITHIN_MS = 1000;

/** Makes a log that writes one JSON object a line to `destination` (standard output by default). */
export function createLog(o: { level: Level | "silent"; destination?: LogDestination }): Log {
  if (o.level === "silent") {
    return { debug: drop, info: drop, warn: drop, error: drop, flush: () => Promise.resolve() };
  }
  const destination = o.destination ?? standardOutput();
  const least = LEVELS[o.level];
  let stampedMs = 0;
  let stamp = "";
  const at = (level: Level): Write => {
    const number = LEVELS[level];
    if (number < least) return drop;
    return (message, fields = {}, atMs = systemClock.nowMs()) => {
      if (atMs !== stampedMs) {
        stampedMs = atMs;
        stamp = new Date(atMs).toISOString();
      }
      const rest = JSON.stringify(fields).slice(1);
      const comma = rest === "}" ? "" : ",";
      destination.write(
        `{"level":${number},"time":"${stamp}","msg":${JSON.stringify(message)}${comma}${rest}\n`,
      );
    };
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    flush: () => destination.flush?.() ?? Promise.resolve(),
  };
}

function drop(): void {
  // Nothing is wanted of this level.
}

/**
 * Standard output in batches of up to 50 ms. The last one is written at the process's end, and may then overtake one that is under
 * way: who can wait calls `flush` before.
 */
function standardOutput(): LogDestination {
  const sink = new sonicBoom.SonicBoom({ fd: 1, sync: false, maxLength: MAX_WAITING_BYTES });
  let batch = "";
  let timer: NodeJS.Timeout | undefined;
  let dropped = 0;
  let closed = false;
  let writing = false;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const lines = batch;
    batch = "";
    if (closed || lines === "") return;
    writing = true;
    sink.write(lines);
  };
  const out: LogDestination = {
    write(line) {
      batch += line;
      if (batch.length >= BATCH_CHARACTERS) flush();
      else timer ??= setTimeout(flush, BATCH_MS).unref();
    },
    async flush() {
      flush();
      const signal = AbortSignal.timeout(FLUSH_WITHIN_MS);
      if (writing) await once(sink, "drain", { signal }).catch(() => undefined);
    },
  };
  sink.on("drop", (lines: string) => (dropped += lines.split("\n").length - 1));
  sink.on("drain", () => {
    writing = false;
    if (dropped === 0) return;
    const count = dropped;
    dropped = 0;
    createLog({ level: "warn", destination: out }).warn("log lines were dropped", { count });
  });
  sink.on("error", ({ code }: NodeJS.ErrnoException) => {
    writing = false;
    if (code === "EPIPE" || code === "EIO") closed = true; // nobody will ever read again
  });
  process.once("exit", () => {
    clearTimeout(timer);
    if (closed) return;
    try {
      sink.flushSync();
      // `sink` would only begin to write the rest, and a process that ends does not wait for it.
      new sonicBoom.SonicBoom({ fd: 1, sync: true }).write(batch);
    } catch {
      // There is nobody left to tell.
    }
  });
  return out;
}

/** The name and code of an unknown error: all of it that may be logged, since messages of libraries can quote input. */
export function errorFields(error: unknown): { errorName: string; errorCode?: string } {
  if (!(error instanceof Error)) return { errorName: typeof error };
  const code = (error as { code?: unknown }).code;
  return typeof code === "string"
    ? { errorName: error.name, errorCode: code }
    : { errorName: error.name };
}
