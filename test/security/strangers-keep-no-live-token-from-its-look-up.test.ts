// 150 connections come with random tokens of the right form, as fast as they are answered. Whoever has a live token is answered all the
// same, at its first use and after each change that makes the proxy forget what it knew; and who has none is told so.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createLaggingRelay } from "../support/lagging-relay.ts";
import { createCaller, createStrangers, type Caller } from "../support/strangers.ts";
import { createCannedUpstream } from "../support/wire.ts";
import { OK } from "../support/attack.ts";

const CONNECTIONS = 150;
const AGENTS = 12;
const CHANGES = 5;
// As with a database on another machine. On one as near as the tests' own, a look-up is over before the next connection is read.
const ROUND_TRIP_MS = 5;
const STRANGERS = "198.51.100.1";

async function open(t: TestContext) {
  const upstream = await createCannedUpstream(OK);
  t.after(() => upstream.close());
  const plane = await openDataPlane(t, {
    env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin, X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8" },
    through: async (url) => {
      const relay = await createLaggingRelay(url, ROUND_TRIP_MS);
      t.after(() => relay.close());
      return relay.url;
    },
  });
  await plane.save("openai");
  const tokens = await Promise.all(
    Array.from({ length: AGENTS }, (_, i) => plane.deploy(`agent-${i}`)),
  );
  const callerAt = (address: string): Caller => {
    const caller = createCaller(plane.port, AGENTS, address);
    t.after(() => caller.close());
    return caller;
  };
  return { plane, tokens, callerAt };
}

async function callAll(caller: Caller, tokens: readonly string[]): Promise<void> {
  const answers = await Promise.all(tokens.map((token) => caller.call(token)));
  assert.deepEqual(
    answers,
    tokens.map(() => "200"),
  );
}

for (const [who, address] of [
  ["from elsewhere", "203.0.113.7"],
  ["from the same address", STRANGERS],
] as const) {
  test(`agents that call ${who} are all answered, unknown tokens 401`, async (t) => {
    const { plane, tokens, callerAt } = await open(t);
    const caller = callerAt(address);
    const strangers = createStrangers(plane.port, CONNECTIONS, STRANGERS);
    const answered = (): number => strangers.answers["401 unknown_token"] ?? 0;
    await eventually(() => answered() > CONNECTIONS);
    await callAll(caller, tokens);
    for (let change = 1; change <= CHANGES; change++) {
      const before = answered();
      // Each of them is forgotten, and none has this version of the key yet.
      await plane.save("openai", `sk-FAKE-key-${change}-0123456789-abcdefghij`);
      await callAll(caller, tokens);
      const unknown = newBearer(PROXY_TOKEN_PREFIX);
      assert.equal(await caller.call(unknown), "401 unknown_token");
      await eventually(() => answered() > before + CONNECTIONS);
    }
    await strangers.stop();
    assert.deepEqual(Object.keys(strangers.answers), ["401 unknown_token"]);
  });
}
