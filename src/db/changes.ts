// Listens to notifications of changes from the database, and reports when some may have been missed. An open connection may be dead, so a
// heartbeat is sent through the database, and a listener that doesn't receive it is replaced. Must never miss a change silently.
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../platform/clock.ts";
import { StoreUnavailableError } from "../platform/errors.ts";
import { errorFields, logEnd, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { openClient, withDeadline } from "./connection.ts";
import { createPool } from "./pool.ts";
import { createServers } from "./dial.ts";

export type Change = { agentId: string } | { workspaceId: string };

/** Listens on a connection of its own, and reconnects by itself. */
export interface Changes {
  /** Called for each change, when its transaction has been committed. */
  onChange(listener: (change: Change) => void): void;
  /**
   * Called when notifications may have been missed, so that all cached state must be dropped: each time that listening begins, the first
   * time included; when the heartbeat is late although queries work; and after the machine has slept. Not called while the database
   * can't be reached.
   */
  onGap(listener: () => void): void;
  close(): Promise<void>;
}

const HEARTBEAT_MS = 2000;
const LATE_MS = 5000;
const LISTEN_DEADLINE_MS = 4000;
const RETRY_MS = 250;

/** Starts to listen at once, in the background. `url`: of any login role. */
export function createChanges(
  url: string,
  { clock, log, metrics }: { clock: Clock; log: Log; metrics: Metrics },
): Changes {
  const ownId = randomBytes(8).toString("hex");
  const pool = createPool(url, { max: 1, measured: { metrics, as: "notifications" } });
  const closing = new AbortController();
  const changeListeners: ((change: Change) => void)[] = [];
  const gapListeners: (() => void)[] = [];
  let giveUp: () => void = () => undefined;
  const servers = createServers();
  let listening = false;
  let beating = false;
  let unheardSinceMs: number | undefined;
  let heardMs = clock.monotonicMs();
  let roundTripMs = 0;
  let healthy = false;
  let sleptMs = clock.nowMs() - clock.monotonicMs();

  const gap = (): void => {
    metrics.notificationGaps.inc();
    gapListeners.forEach((listener) => listener());
  };

  function setHealthy(now: boolean): void {
    healthy = now;
    metrics.notificationsHealthy.set(now ? 1 : 0);
  }

  metrics.beforeScrape(() => {
    const nowMs = clock.monotonicMs();
    const waitedMs = unheardSinceMs === undefined ? 0 : nowMs - unheardSinceMs;
    const lagMs = healthy ? Math.max(roundTripMs, waitedMs) : nowMs - heardMs;
    metrics.notificationLagSeconds.set(lagMs / 1000);
  });

  function hear(channel: string, payload: string): void {
    if (channel === "x3sproxy_heartbeat") {
      if (payload !== ownId) return;
      heardMs = clock.monotonicMs();
      roundTripMs = heardMs - (unheardSinceMs ?? heardMs);
      unheardSinceMs = undefined;
      setHealthy(true);
      return;
    }
    const [kind, id = ""] = payload.split(" ", 2);
    if (kind === "agent") changeListeners.forEach((listener) => listener({ agentId: id }));
    else if (kind === "workspace")
      changeListeners.forEach((listener) => listener({ workspaceId: id }));
    else gap();
  }

  async function beat(): Promise<void> {
    noticeSleep();
    if (beating || !listening) return;
    beating = true;
    try {
      unheardSinceMs ??= clock.monotonicMs();
      await pool.query(async (sql) => sql`select pg_notify('x3sproxy_heartbeat', ${ownId})`);
      if (isDeaf()) {
        gap();
        giveUp();
      }
    } catch (error) {
      // The database can't be reached, so a late heartbeat says nothing about the listener.
      unheardSinceMs = undefined;
      setHealthy(false);
      log.debug("the heartbeat through the database failed", errorFields(error));
    } finally {
      beating = false;
    }
  }

  const beatNow = (): void => logEnd(beat(), log, "the heartbeat through the database failed");

  const isDeaf = (): boolean =>
    unheardSinceMs !== undefined && clock.monotonicMs() - unheardSinceMs >= LATE_MS;

  /** While a machine sleeps, wall-clock time continues and monotonic time doesn't. */
  function noticeSleep(): void {
    const nowMs = clock.nowMs() - clock.monotonicMs();
    if (nowMs - sleptMs >= LATE_MS) gap();
    sleptMs = nowMs;
  }

  /** Listens until the connection ends or is given up. Always rejects. */
  async function listenOnce(): Promise<never> {
    const { promise: broken, reject } = Promise.withResolvers<never>();
    giveUp = () => reject(new StoreUnavailableError("no longer listening"));
    const client = openClient(url, {
      max: 1,
      statementTimeoutMs: 0,
      servers,
      recycle: false,
      onNotify: hear,
      onClose: giveUp,
    });
    try {
      const listen = withDeadline(LISTEN_DEADLINE_MS, async () => {
        await client.sql`listen x3sproxy_changes`;
        await client.sql`listen x3sproxy_heartbeat`;
      });
      await Promise.race([listen, broken]);
      listening = true;
      unheardSinceMs = undefined;
      log.info("listening to database notifications");
      gap();
      beatNow();
      return await broken;
    } finally {
      if (listening && !closing.signal.aborted) log.warn("database notifications are interrupted");
      listening = false;
      setHealthy(false);
      client.destroy();
    }
  }

  async function listenForEver(): Promise<void> {
    while (!closing.signal.aborted) {
      await listenOnce().catch((error: unknown) =>
        log.debug("not listening to database notifications", errorFields(error)),
      );
      await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  const listener = listenForEver();
  const heartbeat = setInterval(beatNow, HEARTBEAT_MS);
  return {
    onChange: (added) => void changeListeners.push(added),
    onGap: (added) => void gapListeners.push(added),
    async close() {
      closing.abort();
      clearInterval(heartbeat);
      giveUp();
      await listener;
      await pool.close();
    },
  };
}
