// Fail closed: what can't be checked is not forwarded. Live entries serve to their own expiry, the rest is told to come back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { ask, OK, type Answer } from "../support/attack.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate, type TcpGate } from "../support/tcp-gate.ts";
import { createCannedUpstream } from "../support/wire.ts";
import { actorIn } from "../support/actor.ts";

for (const mode of ["refuse", "silent", "hang-up"] as const) {
  test(`the database's network: ${mode}`, async (t) => {
    const upstream = await createCannedUpstream(OK);
    t.after(() => upstream.close());
    const gates: TcpGate[] = [];
    const plane = await openDataPlane(t, {
      env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin },
      through: async (url) => {
        const gate = await createTcpGate(url);
        gates.push(gate);
        return gate.url;
      },
    });
    const [gate] = gates;
    assert.ok(gate);
    t.after(() => gate.close());
    await plane.save("openai");
    const known = await plane.deploy("known");
    const other = await plane.deploy("other");
    const revoked = await plane.deploy("revoked");
    const get = async (token: string): Promise<{ answer: Answer; tookMs: number }> => {
      const startMs = performance.now();
      const answer = await ask(plane.port, [
        "GET /openai/v1/models HTTP/1.1",
        `Authorization: Bearer ${token}`,
      ]);
      return { answer, tookMs: performance.now() - startMs };
    };
    assert.equal((await get(known)).answer.status, 200);

    await gate.set(mode);
    await plane.agents.destroy(actorIn(plane.workspaceId), "revoked");
    const before = upstream.connections.length;
    const strange = newBearer(PROXY_TOKEN_PREFIX);
    for (const { answer, tookMs } of await Promise.all([other, revoked, strange, other].map(get))) {
      assert.equal(answer.status, 503);
      assert.equal(answer.header("x3sproxy-refusal"), "store_unavailable");
      assert.ok(Number(answer.header("retry-after")) > 0);
      assert.ok(tookMs < 5_000, `${tookMs} ms`);
    }
    const again = await get(other);
    assert.equal(again.answer.status, 503);
    assert.ok(again.tookMs < 5_000, "nor does the next one hang");
    assert.equal(upstream.connections.length, before, "nothing was forwarded");
    const live = await get(known);
    assert.equal(live.answer.status, 200, "a live entry serves");
    assert.ok(live.tookMs < 1_000);

    await gate.set("open");
    await eventually(async () => (await get(other)).answer.status === 200, 10_000);
    assert.equal((await get(revoked)).answer.header("x3sproxy-refusal"), "unknown_token");
    assert.equal((await get(strange)).answer.header("x3sproxy-refusal"), "unknown_token");
  });
}
