// The rooms below the proxy, on a database of their own: what the tests of agents and access share.
import type { TestContext } from "node:test";
import {
  createAgents,
  createCustomProviders,
  createExpiredTokens,
  createLeases,
  createRegistrations,
  createUnusedTokens,
} from "../../src/agents/index.ts";
import { createGrants } from "../../src/grants/index.ts";
import { systemClock, type Clock } from "../../src/platform/clock.ts";
import { createChanges, createPool, type Pool } from "../../src/db/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import { newId, newProcessId } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import {
  createSecrets,
  createVault,
  loadMasterKeys,
  openDerivation,
  verifyMasterKeys,
} from "../../src/vault/index.ts";
import { createTestDatabase } from "../support/database.ts";

export const FAKE_KEY = "sk-FAKE-access-0123456789abcdefghij";

/** A pool that counts the queries that go through it. */
export interface CountingPool extends Pool {
  readonly count: () => number;
  readonly answered: () => number;
  readonly failed: () => number;
}

export function counting(pool: Pool): CountingPool {
  let made = 0;
  let answered = 0;
  let failed = 0;
  return {
    ...pool,
    async query(fn) {
      made += 1;
      try {
        const result = await pool.query(fn);
        answered += 1;
        return result;
      } catch (error) {
        failed += 1;
        throw error;
      }
    },
    count: () => made,
    answered: () => answered,
    failed: () => failed,
  };
}

/** Agents and their database, before any access to it. */
export async function createHouse(t: TestContext, o: { clock?: Clock } = {}) {
  const clock = o.clock ?? systemClock;
  const database = await createTestDatabase();
  const control = createPool(database.controlUrl);
  t.after(async () => {
    await control.close();
    await database.drop();
  });
  const key = await loadMasterKeys(
    { masterKey: { value: database.masterKey }, dataDir: "/nowhere", databaseUrl: undefined },
    { mayCreate: false },
  );
  await verifyMasterKeys(database.ownerUrl, key);
  const vault = await createVault(key, await openDerivation(database.ownerUrl, key));
  const originProblem = (origin: string): string | undefined =>
    origin.startsWith("http:") ? "no plain http here" : undefined;
  const addWorkspace = async (name: string): Promise<string> => {
    const id = newId();
    await withOwner(
      database.ownerUrl,
      (sql) => sql`insert into x3sproxy.workspaces (id, name) values (${id}, ${name})`,
    );
    return id;
  };

  return {
    database,
    clock,
    vault,
    workspaceId: await addWorkspace("first"),
    addWorkspace,
    agents: createAgents({ pool: control, clock, vault }),
    leases: createLeases({ pool: control, clock }),
    registrations: createRegistrations({ pool: control, clock }),
    expiredTokens: createExpiredTokens({ pool: control }),
    unusedTokens: createUnusedTokens({ pool: control }),
    customProviders: createCustomProviders({ pool: control, originProblem }),
    secrets: createSecrets({ pool: control, vault, originOverrides: new Map(), originProblem }),
    /** A data plane of its own; as many as wanted on one database. `changesUrl`: where it listens. Ready: it does. */
    openGrants: async (
      a: {
        proxyUrl?: string;
        changesUrl?: string;
        redeployGraceMs?: number;
        releaseEveryMs?: number;
      } = {},
    ) => {
      const log = createLog({ level: "silent" });
      const metrics = createMetrics();
      const url = a.proxyUrl ?? database.proxyUrl;
      const pool = counting(createPool(url));
      const changes = createChanges(a.changesUrl ?? url, { clock: systemClock, log, metrics });
      const { redeployGraceMs = 60_000, releaseEveryMs = 3_600_000 } = a;
      const processId = newProcessId();
      const grants = createGrants({
        ...{ pool, changes, vault, redeployGraceMs, releaseEveryMs, processId },
        ...{ clock, log, metrics },
      });
      t.after(async () => {
        await grants.close();
        await changes.close();
        await pool.close();
      });
      await new Promise<void>((resolve) => changes.onGap(resolve));
      return { grants, pool };
    },
  };
}
