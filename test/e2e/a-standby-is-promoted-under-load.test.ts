// A failover, with two real servers: the primary is killed under load and the standby promoted. What is remembered goes on, nothing
// is allowed that isn't, and the service finds the new primary by itself.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withOwner } from "../../src/db/connection.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { startPair } from "../support/standby.ts";
import { administer } from "./calls.ts";
import { callOnce, keepCalling, startUpstream, tally } from "./load.ts";

const KEY = "sk-proj-FAKE-of-a-failover-0000-1111";
const WITHOUT_PRIMARY_MS = 1500;
const HEALED_WITHIN_MS = 10_000;
const FORGETTING_MS = 5000;
const WITHIN_MS = 1000;

test("cached grants go on, nothing is allowed wrongly, and changes work again", async (t) => {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const pair = await startPair(t);
  await assert.rejects(
    withOwner(`${pair.url}?target_session_attrs=any`, (sql) => sql`select 1`),
    /the service works on a primary alone/,
  );
  const service = await runService({
    database: {
      ownerUrl: `${pair.url}?target_session_attrs=read-write`,
      masterKey: randomBytes(32).toString("base64"),
    },
    env: {
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    },
  });
  t.after(() => service.remove());
  const status = async (): Promise<number> => (await fetch(`${service.metricsUrl}/readyz`)).status;
  await service.setSecret("openai", KEY);
  const cached = await service.deploy("cached");
  const unseen = await service.deploy("unseen");
  const ended = await service.deploy("ended");
  const endedLast = await service.deploy("ended-last");
  const after = await service.deploy("after");

  const calling = keepCalling(service.proxyUrl, cached, 15);
  await eventually(() => calling.seen.length > 20);
  assert.equal((await callOnce(service.proxyUrl, ended)).status, 200);
  const endedMs = await administer(service, "DELETE", "/agents/ended");
  await eventually(async () => (await callOnce(service.proxyUrl, ended)).status !== 200, WITHIN_MS);
  const calls = [ended, endedLast].map((token) => keepCalling(service.proxyUrl, token, 50));
  await administer(service, "DELETE", "/agents/ended-last");
  await pair.killPrimary();
  const killedMs = performance.now();

  await eventually(async () => (await status()) === 503);
  const refused = await callOnce(service.proxyUrl, unseen);
  assert.equal(refused.status, 503, "what can't be looked up is not allowed");
  await assert.rejects(administer(service, "DELETE", "/agents/cached"));
  await sleep(WITHOUT_PRIMARY_MS); // the time that a failover takes
  assert.deepEqual(Object.keys(tally(calling.seen)), ["200"]);

  await pair.promoteStandby();
  const promotedMs = performance.now();
  const since = (): string => `${Math.round(performance.now() - promotedMs)} ms`;
  t.diagnostic(`without a primary for ${Math.round(promotedMs - killedMs)} ms`);
  await eventually(async () => (await status()) === 200, HEALED_WITHIN_MS);
  t.diagnostic(`ready ${since()} after the promotion`);
  await eventually(async () => (await callOnce(service.proxyUrl, unseen)).status === 200);
  t.diagnostic(`a new look-up succeeded after ${since()}`);
  const changes = (): Promise<boolean> =>
    administer(service, "POST", "/agents/after/suspend").then(
      () => true,
      () => false,
    );
  await eventually(changes, HEALED_WITHIN_MS);
  t.diagnostic(`a change succeeded after ${since()}`);
  await administer(service, "POST", "/agents/after/resume");
  await eventually(async () => {
    const text = await (await fetch(`${service.metricsUrl}/metrics`)).text();
    return /^x3sproxy_notifications_healthy 1$/m.test(text);
  }, HEALED_WITHIN_MS);
  t.diagnostic(`notifications arrived after ${since()}`);
  assert.ok(performance.now() - promotedMs < HEALED_WITHIN_MS);

  const seen = await calling.stop();
  t.diagnostic(`calls with a cached grant: ${JSON.stringify(tally(seen))}`);
  // When the listener is back all is forgotten, since news may have been missed. A look-up that began without a primary may then fail.
  const notServed = seen.filter((it) => it.status !== 200);
  for (const { refusal, endMs } of notServed) {
    assert.equal(refusal, "store_unavailable");
    assert.ok(endMs > promotedMs && endMs < promotedMs + FORGETTING_MS);
  }
  const [first, last] = await Promise.all(calls.map((it) => it.stop()));
  assert.ok(first && last);
  assert.equal(first.filter((it) => it.status === 200 && it.startMs > endedMs).length, 0);
  t.diagnostic(`destroyed just before the kill: ${JSON.stringify(tally(last))}`);
  const healedMs = promotedMs + HEALED_WITHIN_MS;
  assert.equal(last.filter((it) => it.status === 200 && it.startMs > healedMs).length, 0);
  assert.equal((await callOnce(service.proxyUrl, endedLast)).refusal, "unknown_token");

  // And what is ended now is ended.
  assert.equal((await callOnce(service.proxyUrl, after)).status, 200);
  await administer(service, "DELETE", "/agents/after");
  await eventually(
    async () => (await callOnce(service.proxyUrl, after)).refusal === "unknown_token",
    WITHIN_MS,
  );
});
