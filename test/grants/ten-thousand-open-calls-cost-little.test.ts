// What is looked at each second, and at each change, must not hold up requests.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Grant, OpenCall } from "../../src/grants/index.ts";
import { createOpenCalls } from "../../src/grants/open-calls.ts";
import { LookUpFailure } from "../../src/grants/look-ups.ts";
import { createLog } from "../../src/log.ts";
import { createScripted, hashOf, settle } from "./scripted.ts";

const CALLS = 10_000;
const FEW_MS = 5;
const TICKS = 50;

/** 10,000 calls of `agents` agents, and what the database is asked and answers meanwhile. */
async function opened(agents: number) {
  const scripted = createScripted();
  const { cache, lookUps, clock, queries } = scripted;
  const openCalls = createOpenCalls({
    ...{ cache, lookUps, clock, graceMs: 60_000 },
    agentState: () => Promise.resolve("live"),
    records: {
      begin: () => ({ add: () => undefined, end: () => undefined }),
      close: () => Promise.resolve(),
    },
    log: createLog({ level: "silent" }),
  });
  const grants: Grant[] = [];
  for (let i = 0; i < agents; i += 1) {
    const found = lookUps.load(hashOf(`token ${i}`));
    queries[0]?.answer({ agentId: `agent ${i}`, workspaceId: "w", version: 1 });
    const grant = await found;
    assert.ok(typeof grant !== "string" && !(grant instanceof LookUpFailure));
    grants.push(grant);
  }
  let visits = 0;
  let cuts = 0;
  const calls: OpenCall[] = Array.from({ length: CALLS }, (_, i) => ({
    grant: grants[i % agents] as Grant,
    cut: () => (cuts += 1) > 0,
  }));
  openCalls.watch((visit) => {
    visits += 1;
    for (const call of calls) visit(call);
  });
  return { ...scripted, openCalls, visits: () => visits, cuts: () => cuts };
}

/** The processor's time that it takes, on the average of many: what else the machine does is not counted. */
function cpuMs(act: () => void): number {
  const start = process.threadCpuUsage();
  for (let i = 0; i < TICKS; i += 1) act();
  const { user, system } = process.threadCpuUsage(start);
  return (user + system) / 1000 / TICKS;
}

for (const agents of [10, 10_000]) {
  test(`a tick over ${CALLS} open calls of ${agents} agents takes less than ${FEW_MS} ms`, async (t) => {
    const { openCalls, asked, cuts } = await opened(agents);
    t.after(() => openCalls.close());
    const before = asked();
    const tookMs = cpuMs(() => openCalls.tick());
    t.diagnostic(`${tookMs.toFixed(2)} ms`);
    assert.ok(tookMs < FEW_MS, `${tookMs} ms`);
    assert.equal(asked(), before, "and asks nothing");
    assert.equal(cuts(), 0);
  });
}

test("a thousand changes at about the same time are looked at once, and confirmed a few at a time", async (t) => {
  const { openCalls, cache, queries, visits, asked } = await opened(1_000);
  t.after(() => openCalls.close());
  openCalls.tick();
  const before = { visits: visits(), asked: asked() };
  for (let i = 0; i < 1_000; i += 1) {
    cache.forget(`agent ${i}`);
    openCalls.suspect(`agent ${i}`);
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(visits() - before.visits, 1);
  let most = 0;
  while (queries.length > 0) {
    most = Math.max(most, queries.length);
    for (const query of [...queries]) {
      const agentId = query.tokenHash.replace("token", "agent");
      query.answer({ agentId, workspaceId: "w", version: 2 });
    }
    await settle();
  }
  assert.equal(most, 16);
  assert.equal(asked() - before.asked, 1_000, "each once");
});
