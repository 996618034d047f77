// Five million events and five million minutes of calls in one workspace, on a disk, with Postgres as the service starts it: each list with
// each filter, each export's beginning and all pruning hold their deadline. Needs some 10 GB. `X3SPROXY_SOAK_ROWS`: another number of rows.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import postgres from "postgres";
import { openAdmin } from "../admin/fixture.ts";
import { createRetention } from "../../src/activity/index.ts";
import { createAuditRetention } from "../../src/audit/index.ts";
import { startEmbedded } from "../../src/db/embedded.ts";
import { createPool, migrate, type Pool, type Sql } from "../../src/db/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createLog } from "../../src/platform/log.ts";
import { SERVER_VARIABLE, TEMPLATE, urlOfDatabase } from "../support/database.ts";
import { addHistory, idOf, OFTEN, SELDOM } from "../support/history.ts";

const ROWS = Number(process.env["X3SPROXY_SOAK_ROWS"] ?? 5_000_000);
const SIZE = {
  ...{ events: ROWS, minutes: ROWS, contexts: ROWS / 5, calls: ROWS / 10 },
  // A few days more than what is kept of each: the oldest are due.
  ...{ agents: Math.floor(ROWS / 52_000), eventDays: 370, everyMinutes: 1 },
};
/** A call to the database is given up after this long. */
const DEADLINE_MS = 4000;
const DAY_MS = 86_400_000;
const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString();

// What is measured here is how much is read, not how long a disk takes to be sure.
const FAST = { fsync: "off", full_page_writes: "off", max_wal_size: "4GB" };
// A server of the test's own: that of all tests keeps its files in memory.
let stop: () => Promise<void>;
before(async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-soak-"));
  const server = await startEmbedded({
    dataDir,
    log: createLog({ level: "error" }),
    settings: FAST,
  });
  stop = async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  process.env[SERVER_VARIABLE] = server.ownerUrl;
  await withOwner(server.ownerUrl, async (sql: Sql) => sql`create database ${sql(TEMPLATE)}`);
  await migrate(urlOfDatabase(server.ownerUrl, TEMPLATE));
});
after(() => stop());

test(`${ROWS} events and as many minutes`, { timeout: 60 * 60_000 }, async (t) => {
  const began = performance.now();
  const told = (what: string): void =>
    t.diagnostic(`${Math.round((performance.now() - began) / 1000)} s: ${what}`);
  const admin = await openAdmin(t);
  const owner = postgres(admin.database.ownerUrl, { max: 1, onnotice: () => undefined });
  t.after(() => owner.end());
  await addHistory(owner, admin.workspaceId, admin.signer, SIZE);
  told("the rows are there");

  let slowest = { path: "", ms: 0 };
  for (const path of paths()) {
    const { ms, nextCursor } = await timed(() => admin.call("GET", path));
    if (ms > slowest.ms) slowest = { path, ms };
    assert.ok(ms < DEADLINE_MS, `${path}: ${Math.round(ms)} ms`);
    if (typeof nextCursor !== "string") continue;
    const next = `${path}${path.includes("?") ? "&" : "?"}cursor=${nextCursor}`;
    const { ms: nextMs } = await timed(() => admin.call("GET", next));
    assert.ok(nextMs < DEADLINE_MS, `${next}: ${Math.round(nextMs)} ms`);
  }
  told(`${paths().length} lists; the slowest took ${Math.round(slowest.ms)} ms: ${slowest.path}`);

  for (const query of ["", "format=csv", `action=${SELDOM.action}`, `from=${daysAgo(1)}`]) {
    const ms = await firstBytesMs(`${admin.url}/api/v1/audit/export?${query}`, admin.apiKey);
    assert.ok(ms < DEADLINE_MS, `export ${query}: ${Math.round(ms)} ms`);
  }
  told("exports begin");

  const parts: number[] = [];
  const base = createPool(admin.database.controlUrl);
  const pool: Pool = {
    ...base,
    async query(fn) {
      const start = performance.now();
      const result = await base.query(fn);
      parts.push(performance.now() - start);
      return result;
    },
  };
  t.after(() => base.close());
  for (const [what, retention] of [
    ["activity", createRetention({ pool })],
    ["events", createAuditRetention({ pool })],
  ] as const) {
    parts.length = 0;
    const count = await retention.prune();
    const longest = Math.max(...parts);
    told(
      `pruned ${count} of ${what} in ${parts.length} parts, at most ${Math.round(longest)} ms each`,
    );
    assert.ok(count > SIZE.events / 500, `${count} of ${what}`);
    assert.ok(longest < DEADLINE_MS, `a part took ${longest} ms`);
    assert.equal(await retention.prune(), 0, "nothing that has had its time is left");
  }
});

/** Every filter of the lists with what nearly all rows have, what a thousandth has, and what none has; and those together that find nothing. */
function paths(): string[] {
  const spans = [
    `from=${daysAgo(1)}`,
    `to=${daysAgo(300)}`,
    `from=${daysAgo(200)}&to=${daysAgo(199)}`,
  ];
  const actions = [OFTEN.action, SELDOM.action, "workspace.delete"].map((each) => `action=${each}`);
  const actors = [OFTEN.agent, SELDOM.actor, idOf(SELDOM.actor), "nobody"].map(
    (it) => `actor=${it}`,
  );
  const targets = ["openai/production", SELDOM.target, idOf("openai/production"), "nothing"].map(
    (each) => `target=${encodeURIComponent(each)}`,
  );
  const audit = ["", ...spans, ...actions, ...actors, ...targets];
  const together = actions.flatMap((action) =>
    actors.flatMap((actor) => [
      `${action}&${actor}`,
      ...targets.map((target) => `${action}&${actor}&${target}`),
      ...spans.map((span) => `${action}&${actor}&${span}`),
    ]),
  );
  const agents = [OFTEN.agent, SELDOM.agent, "nobody"].map((each) => `agent=${each}`);
  const providers = [OFTEN.provider, SELDOM.provider, "nobody"].map((each) => `provider=${each}`);
  const recent = [`from=${daysAgo(1)}`, `to=${daysAgo(30)}`];
  const activity = [
    ...["", ...recent, ...agents, ...providers],
    ...agents.flatMap((agent) => [...providers, ...recent].map((other) => `${agent}&${other}`)),
  ];
  return [
    ...[...audit, ...together].map((query) => `/api/v1/audit?${query}`),
    ...activity.map((query) => `/api/v1/activity?${query}`),
    ...["", ...recent, ...agents].map((query) => `/api/v1/contexts?${query}`),
    ...["/agents", `/agents/${OFTEN.agent}`, "/overview?hours=24", "/overview?hours=168"].map(
      (path) => `/api/v1${path}`,
    ),
    ...["/audit/checkpoint", "/audit/checkpoint?from=1000", "/audit/5000/proof"].map(
      (path) => `/api/v1${path}`,
    ),
  ];
}

async function timed(
  ask: () => ReturnType<Awaited<ReturnType<typeof openAdmin>>["call"]>,
): Promise<{ ms: number; nextCursor: unknown }> {
  const start = performance.now();
  const { status, text, body } = await ask();
  const ms = performance.now() - start;
  assert.equal(status, 200, text.slice(0, 500));
  return { ms, nextCursor: body["nextCursor"] };
}

/** Until the first of what is exported is here. */
async function firstBytesMs(url: string, apiKey: string): Promise<number> {
  const start = performance.now();
  const ending = new AbortController();
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${apiKey}` },
    signal: ending.signal,
  });
  assert.equal(response.status, 200);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { done } = await reader.read();
  assert.ok(!done, "the export has ended early");
  const ms = performance.now() - start;
  ending.abort();
  return ms;
}
