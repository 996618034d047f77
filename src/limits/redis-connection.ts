// The connection to Redis or Valkey, through which processes share their counts. If Redis misses a deadline, the connection ends; until there
// is a new one, each question is answered at once: not known. Must never log its URL, which may hold a password.
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { errorFields, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { ENTER, keysOf, ENTRY_MS, NO_LIMITS, SETTLE } from "./redis-script.ts";

const DEADLINE_MS = 250;
const CONNECT_DEADLINE_MS = 2000;
const RETRY_MS = 500;

export type Script = typeof ENTER | typeof SETTLE;

export interface RedisConnection {
  readonly isUp: boolean;
  /** Runs a script. Resolves to its answer; undefined: whether it ran is not known. Takes at most 250 ms, never rejects. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** Waits for scripts that are running, and disconnects. */
  close(): Promise<void>;
}

interface Connection {
  run(command: readonly string[]): Promise<unknown>;
  /** Resolves to the cause of its end. */
  readonly ended: Promise<unknown>;
  end(cause: unknown): void;
}

/** Connects in the background and reconnects for ever. `onUp`: called when Redis answers; it may have lost all data. */
export function createRedisConnection(o: {
  url: string;
  log: Log;
  metrics: Metrics;
  onUp: () => void;
}): RedisConnection {
  const { log, metrics } = o;
  const closing = new AbortController();
  const underWay = new Set<Promise<unknown>>();
  let connection: Connection | undefined;
  let isToldDown = false;

  const isClosed = (): boolean => closing.signal.aborted;

  async function serveOnce(): Promise<unknown> {
    const fresh = await connect(o.url, closing.signal);
    if (!(await works(fresh))) return fresh.ended;
    connection = fresh;
    isToldDown = false;
    metrics.limitsShared.set(1);
    log.info("limits are shared between processes");
    o.onUp();
    const cause = await fresh.ended;
    connection = undefined;
    metrics.limitsShared.set(0);
    return cause;
  }

  async function serveForEver(): Promise<void> {
    while (!isClosed()) {
      const cause = await serveOnce().catch((error: unknown) => error);
      if (isClosed()) return;
      if (!isToldDown) {
        const fields = { ...errorFields(cause), ...replyCode(cause) };
        log.warn("limits are not shared: each process counts for itself", fields);
      }
      isToldDown = true;
      await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  metrics.limitsShared.set(0);
  const serving = serveForEver();
  return {
    get isUp() {
      return connection !== undefined;
    },
    async run(script, keys, args) {
      const running = connection?.run([
        "EVALSHA",
        HASHES[script],
        String(keys.length),
        ...keys,
        ...args,
      ]);
      if (running === undefined) return undefined;
      underWay.add(running);
      try {
        return await running;
      } finally {
        underWay.delete(running);
      }
    },
    async close() {
      await Promise.all(underWay);
      closing.abort();
      await serving;
    },
  };
}

/** Opens a connection, which ends at its first error. Rejects if none can be opened. */
async function connect(url: string, closing: AbortSignal): Promise<Connection> {
  // Loaded only here: it is large, and most services have no Redis.
  const { createClient } = await import("@redis/client");
  const client = createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    socket: { connectTimeout: CONNECT_DEADLINE_MS, reconnectStrategy: false },
  });
  const waiting = new Set<() => void>();
  const { promise: ended, resolve } = Promise.withResolvers<unknown>();
  let isOver = false;
  const end = (cause: unknown): void => {
    if (isOver) return;
    isOver = true;
    closing.removeEventListener("abort", end);
    resolve(cause);
    for (const giveUp of waiting) giveUp();
    client.destroy();
  };
  client.on("error", end);
  closing.addEventListener("abort", end);
  const deadline = setTimeout(() => end(timedOut()), CONNECT_DEADLINE_MS);
  try {
    await Promise.race([
      client.connect(),
      ended.then((cause) => {
        throw cause;
      }),
    ]);
  } catch (error) {
    end(error);
    throw error;
  } finally {
    clearTimeout(deadline);
  }
  return {
    ended,
    end,
    run(command) {
      if (isOver) return Promise.resolve(undefined);
      const { promise, resolve: answer } = Promise.withResolvers<unknown>();
      const settle = (reply: unknown): void => {
        clearTimeout(timer);
        waiting.delete(giveUp);
        answer(reply);
      };
      const giveUp = (): void => settle(undefined);
      waiting.add(giveUp);
      // If this process was slow, the answer may have arrived unread: leave one more turn of the event loop to read it.
      const timer = setTimeout(
        () => setImmediate(() => waiting.has(giveUp) && end(timedOut())),
        DEADLINE_MS,
      );
      client.sendCommand(command).then(settle, end);
      return promise;
    },
  };
}

/** Runs both scripts on keys of their own, so that the server caches them. Resolves to whether it answered. */
async function works(connection: Connection): Promise<boolean> {
  const nowhere = keysOf({ workspaceId: "probe", agentId: "probe" });
  const limits = ["1000000000", ...NO_LIMITS.slice(1)];
  const ms = String(ENTRY_MS);
  const entering = ["EVAL", ENTER, "7", ...nowhere, "probe", ms, "0", ...limits];
  const settling = ["EVAL", SETTLE, "7", ...nowhere, "0", ms, ...limits, "-probe"];
  const answers = await Promise.all([connection.run(entering), connection.run(settling)]);
  return !answers.includes(undefined);
}

const HASHES: Readonly<Record<Script, string>> = {
  [ENTER]: sha1(ENTER),
  [SETTLE]: sha1(SETTLE),
};

function sha1(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}

function timedOut(): Error {
  return Object.assign(new Error("Redis did not answer in time"), { code: "ETIMEDOUT" });
}

/** The code that a reply of Redis begins with, as in WRONGPASS. The rest of the reply is not logged. */
function replyCode(error: unknown): { errorCode?: string } {
  const word = error instanceof Error ? /^[A-Z]{2,20}(?= )/.exec(error.message)?.[0] : undefined;
  return word === undefined ? {} : { errorCode: word };
}
