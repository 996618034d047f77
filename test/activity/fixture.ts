// A database with a workspace and an agent, and recorders on it: each as a process of its own would have.
import type { TestContext } from "node:test";
import postgres from "postgres";
import { createRecorder, type Recorder } from "../../src/activity/index.ts";
import { systemClock, type Clock } from "../../src/platform/clock.ts";
import { createPool, type Pool } from "../../src/db/index.ts";
import { newId } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics, type Metrics } from "../../src/platform/metrics.ts";
import { createTestDatabase } from "../support/database.ts";

export interface OpenRecorder extends Recorder {
  readonly metrics: Metrics;
  /** What the log has of it. */
  readonly lines: string[];
}

export async function openActivity(t: TestContext) {
  const database = await createTestDatabase();
  const owner = postgres(database.ownerUrl, { max: 2, onnotice: () => undefined });
  t.after(async () => {
    await owner.end();
    await database.drop();
  });
  const addWorkspace = async (name: string): Promise<string> => {
    const id = newId();
    await owner`insert into x3sproxy.workspaces (id, name) values (${id}, ${name})`;
    return id;
  };
  const workspaceId = await addWorkspace("first");
  return {
    database,
    owner,
    addWorkspace,
    workspaceId,
    agent: { workspaceId, agentId: newId(), agent: "worker" },
    /** Not started: it writes when it is closed, or once `start` is called. */
    openRecorder: (
      o: { url?: string; maxRows?: number; clock?: Clock; wrap?: (pool: Pool) => Pool } = {},
    ): OpenRecorder => {
      const pool = createPool(o.url ?? database.proxyUrl, { max: 1, deadlineMs: 1000 });
      const metrics = createMetrics();
      const lines: string[] = [];
      const log = createLog({
        level: "debug",
        destination: { write: (line) => void lines.push(line) },
      });
      const recorder = createRecorder({
        pool: o.wrap?.(pool) ?? pool,
        clock: o.clock ?? systemClock,
        log,
        metrics,
        ...(o.maxRows !== undefined && { maxRows: o.maxRows }),
      });
      t.after(async () => {
        await recorder.close();
        await pool.close();
      });
      return { ...recorder, metrics, lines };
    },
    /** Requests written so far. */
    written: async (): Promise<number> => {
      const [row] = await owner<{ sum: number }[]>`
        select coalesce(sum(requests), 0)::float8 as sum from x3sproxy.activity_minutes`;
      return row?.sum ?? 0;
    },
  };
}

export async function valueOf(metric: {
  get(): Promise<{ values: { value: number }[] }>;
}): Promise<number> {
  return (await metric.get()).values[0]?.value ?? 0;
}
