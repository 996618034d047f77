// Sends the logs' checkpoints to where whoever could edit the database can't reach them. Each process sends by itself, so that none
// depends on another: what comes twice says the same. Must never hold up anything else, nor log an address with its password.
import { setTimeout as sleep } from "node:timers/promises";
import type { CheckpointSettings } from "../platform/config.ts";
import type { Pool } from "../db/index.ts";
import { errorFields, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { fileDestination, urlDestination, type Destination } from "./checkpoint-destinations.ts";
import { syslogDestination } from "./checkpoint-destinations.ts";

export interface CheckpointSending {
  /** Takes what is new, to send it in the background. Rejects as the pool does. */
  look(): Promise<void>;
  /** Ends, after one last time for what is new. */
  close(): Promise<void>;
}

interface Head {
  readonly workspaceId: string;
  readonly note: string;
}

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;
const LAST_TIME_MS = 2000;

/** Those that are set. */
export function destinationsOf({ file, url, syslog }: CheckpointSettings): Destination[] {
  return [
    ...(file === undefined ? [] : [fileDestination(file)]),
    ...(url === undefined ? [] : [urlDestination(url)]),
    ...(syslog === undefined ? [] : [syslogDestination(syslog)]),
  ];
}

/** `pool`: of the control role. */
export function createCheckpointSending(o: {
  pool: Pool;
  destinations: readonly Destination[];
  log: Log;
  metrics: Pick<Metrics, "checkpointsSent">;
}): CheckpointSending {
  const { pool } = o;
  const ending = new AbortController();
  const lanes = o.destinations.map((destination) => createLane(destination, o, ending.signal));

  async function look(): Promise<void> {
    const heads = await pool.query(
      (sql) => sql<Head[]>`
        select workspace_id as "workspaceId", note from x3sproxy.latest_checkpoints()`,
    );
    for (const lane of lanes) lane.offer(heads);
  }

  return {
    look,
    async close() {
      try {
        await look();
      } finally {
        const done = Promise.all(lanes.map((lane) => lane.idle()));
        // What hangs, as a file system without its server, may not even take notice of the end.
        await Promise.race([done, sleep(LAST_TIME_MS, undefined, { signal: ending.signal })]);
        ending.abort();
      }
    },
  };
}

/** One destination: what is new waits here until it is sent, the newest of each log alone. */
function createLane(
  destination: Destination,
  { log, metrics }: { log: Log; metrics: Pick<Metrics, "checkpointsSent"> },
  ending: AbortSignal,
) {
  const { name } = destination;
  const sent = new Map<string, string>();
  const waiting = new Map<string, Head>();
  let working: Promise<void> | undefined;
  let failing = false;

  async function work(): Promise<void> {
    for (let retryMs = FIRST_RETRY_MS; waiting.size > 0 && !ending.aborted;) {
      const heads = [...waiting.values()];
      try {
        await destination.send(
          heads.map(({ note }) => note),
          ending,
        );
        metrics.checkpointsSent.inc({ destination: name, result: "ok" }, heads.length);
        for (const head of heads) {
          sent.set(head.workspaceId, head.note);
          if (waiting.get(head.workspaceId) === head) waiting.delete(head.workspaceId);
        }
        if (failing) log.info("the audit's checkpoints are sent again", { route: name });
        failing = false;
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        metrics.checkpointsSent.inc({ destination: name, result: "failed" }, heads.length);
        const fields = { route: name, ...errorFields(error) };
        if (!failing) log.warn("the audit's checkpoints can't be sent", fields);
        failing = true;
        await sleep(retryMs, undefined, { signal: ending, ref: false }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
  }

  return {
    /** Takes those that differ from what was sent last. */
    offer(heads: readonly Head[]): void {
      for (const head of heads) {
        if (sent.get(head.workspaceId) !== head.note) waiting.set(head.workspaceId, head);
      }
      working ??= work().finally(() => (working = undefined));
    },
    /** Once nothing waits any more, or sending has ended; at once where it fails anyhow. */
    async idle(): Promise<void> {
      if (!failing) await working;
    },
  };
}
