// Sends checkpoints to places that someone with access to the database can't edit. Every process sends all of them, so that none depends
// on another; a duplicate does no harm. Must never delay anything else, nor log a URL with its password.
import { setTimeout as sleep } from "node:timers/promises";
import type { CheckpointSettings } from "../platform/config.ts";
import type { Pool } from "../db/index.ts";
import { errorFields, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { fileDestination, urlDestination, type Destination } from "./checkpoint-destinations.ts";
import { syslogDestination } from "./checkpoint-destinations.ts";

export interface CheckpointSending {
  /** Reads the latest checkpoints, and sends new ones in the background. Rejects with StoreUnavailableError. */
  look(): Promise<void>;
  /** Sends what is new for at most two seconds more, then stops. */
  close(): Promise<void>;
}

interface Head {
  readonly workspaceId: string;
  readonly note: string;
}

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;
const CLOSE_WITHIN_MS = 2000;

/** The destinations that are configured. */
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
        // A file system that hangs, for example NFS without its server, ignores the abort.
        await Promise.race([done, sleep(CLOSE_WITHIN_MS, undefined, { signal: ending.signal })]);
        ending.abort();
      }
    },
  };
}

/** Sends to one destination. Only the newest unsent checkpoint of each log waits here. */
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
    /** Queues the checkpoints that differ from the last one sent. */
    offer(heads: readonly Head[]): void {
      for (const head of heads) {
        if (sent.get(head.workspaceId) !== head.note) waiting.set(head.workspaceId, head);
      }
      working ??= work().finally(() => (working = undefined));
    },
    /** Resolves when all is sent or sending has stopped; at once when the destination fails. */
    async idle(): Promise<void> {
      if (!failing) await working;
    },
  };
}
