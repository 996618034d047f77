import assert from "node:assert/strict";
import { test } from "node:test";
import { createCounter, limitedGrant, type Counter } from "./limited.ts";

const MB = 1_000_000;

/** How many calls pass until one is refused; each ends at once. */
function passing(counter: Counter, grant: ReturnType<typeof limitedGrant>): number {
  for (let passed = 0; ; passed++) {
    const entered = counter.enter(grant);
    if (entered.reason !== undefined) return passed;
    entered.end();
  }
}

test("the agent's reason comes first, and the wait is long enough for all that refuse", () => {
  const counter = createCounter();
  const grant = limitedGrant({
    agent: { requestsPerMinute: 60 },
    workspace: { requestsPerMinute: 6 },
  });
  const other = limitedGrant({ agentId: "other", workspace: { requestsPerMinute: 6 } });
  assert.equal(passing(counter, grant), 1, "what the workspace lets pass");
  assert.equal(passing(counter, other), 0, "it is one workspace");
  assert.deepEqual(counter.enter(grant), { reason: "rate_limited", retryAfterS: 10 });
  const both = limitedGrant({
    agentId: "both",
    agent: { openStreams: 1 },
    workspace: { requestsPerMinute: 6 },
  });
  counter.advance(10_000);
  assert.equal(counter.enter(both).reason, undefined);
  assert.deepEqual(counter.enter(both), { reason: "too_many_streams", retryAfterS: 10 });
});

test("a call that the workspace refuses uses up nothing of its agent's", () => {
  const counter = createCounter();
  const agent = { requestsPerMinute: 60, openStreams: 5 };
  const tight = limitedGrant({ agent, workspace: { openStreams: 1 } });
  const first = counter.enter(tight);
  assert.ok(first.reason === undefined);
  for (let i = 0; i < 50; i++) assert.equal(counter.enter(tight).reason, "too_many_streams");
  first.end();
  // Of the ten at once one is used.
  assert.equal(passing(counter, limitedGrant({ agent })), 9);
  const open = Array.from({ length: 20 }, () => {
    counter.advance(1000);
    return counter.enter(limitedGrant({ agent }));
  }).filter(({ reason }) => reason === undefined);
  assert.equal(open.length, 5, "no stream is left counted");
});

test("bytes make a debt, which is paid before the next call; open calls go on", () => {
  for (const place of ["agent", "workspace"] as const) {
    const counter = createCounter();
    const grant = limitedGrant({ [place]: { bytesPerMinute: 6 * MB } });
    const large = counter.enter(grant);
    const small = counter.enter(grant);
    assert.ok(large.reason === undefined && small.reason === undefined);
    large.end(3 * MB); // ten seconds' worth, 1 MB, may be used at once
    assert.deepEqual(counter.enter(grant), { reason: "too_many_bytes", retryAfterS: 20 });
    counter.advance(19_000);
    assert.equal(counter.enter(grant).reason, "too_many_bytes");
    counter.advance(1000);
    const next = counter.enter(grant);
    assert.ok(next.reason === undefined);
    small.end(1 * MB);
    next.end(0);
    assert.deepEqual(counter.enter(grant), { reason: "too_many_bytes", retryAfterS: 10 });
  }
});

test("small calls within the limit are never refused for their bytes", () => {
  const counter = createCounter();
  const grant = limitedGrant({ agent: { bytesPerMinute: 60_000 } });
  for (let i = 0; i < 1000; i++) {
    const entered = counter.enter(grant);
    assert.ok(entered.reason === undefined, `call ${i}`);
    entered.end(100);
    counter.advance(100);
  }
});

test("WebSockets count among the streams, and have a limit of the workspace's", () => {
  const counter = createCounter();
  const grant = limitedGrant({ agent: { openStreams: 3 }, workspace: { openWebsockets: 2 } });
  const sockets = [1, 2].map(() => counter.enter(grant, { websocket: true }));
  assert.ok(sockets.every(({ reason }) => reason === undefined));
  assert.equal(counter.enter(grant, { websocket: true }).reason, "too_many_streams");
  const plain = counter.enter(grant);
  assert.equal(plain.reason, undefined);
  assert.equal(counter.enter(grant).reason, "too_many_streams", "the agent's third is its last");
  const [socket] = sockets;
  assert.ok(socket?.reason === undefined && socket !== undefined);
  socket.end();
  socket.end();
  assert.equal(counter.enter(grant, { websocket: true }).reason, undefined);
  assert.equal(counter.enter(grant).reason, "too_many_streams", "an end counts once");
});

test("a changed limit holds at once", () => {
  const counter = createCounter();
  const requests = (requestsPerMinute: number | null) =>
    limitedGrant({ agent: { requestsPerMinute } });
  assert.equal(passing(counter, requests(1)), 1);
  assert.equal(passing(counter, requests(600)), 99, "the one is of the new burst's hundred");
  assert.deepEqual(counter.enter(requests(6)), { reason: "rate_limited", retryAfterS: 10 });
  assert.equal(counter.enter(requests(null)).reason, undefined);

  const bytes = (bytesPerMinute: number) =>
    limitedGrant({ agentId: "b", agent: { bytesPerMinute } });
  const call = counter.enter(bytes(1 * MB));
  assert.ok(call.reason === undefined);
  call.end(100 * MB);
  assert.equal(counter.enter(bytes(1 * MB)).reason, "too_many_bytes");
  assert.deepEqual(counter.enter(bytes(100 * MB)), { reason: "too_many_bytes", retryAfterS: 50 });
  assert.equal(counter.enter(bytes(1000 * MB)).reason, undefined);
});

test("no debt takes longer than a day", () => {
  const counter = createCounter();
  const grant = limitedGrant({ agent: { bytesPerMinute: 1 } });
  const call = counter.enter(grant);
  assert.ok(call.reason === undefined);
  call.end(10_000 * MB);
  counter.advance(24 * 3_600_000);
  assert.equal(counter.enter(grant).reason, undefined);
});
