import assert from "node:assert/strict";
import { test } from "node:test";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/ids.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { createHouse } from "./house.ts";
import { createManualClock } from "./manual-clock.ts";
import { actorIn } from "../support/actor.ts";

for (const mode of ["refuse", "silent", "hang-up"] as const) {
  test(`${mode}: live entries serve, others are refused in time, and it heals`, async (t) => {
    const clock = createManualClock();
    const { agents, openAccess, workspaceId, database } = await createHouse(t, { clock });
    const gate = await createTcpGate(database.proxyUrl);
    const { access } = await openAccess({ proxyUrl: gate.url, changesUrl: database.proxyUrl });
    t.after(() => gate.close());
    const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
    const { token: other } = await agents.deploy(actorIn(workspaceId), { name: "b" });
    assert.ok(typeof (await access.resolve(token)) !== "string");

    await gate.set(mode);
    const startMs = performance.now();
    assert.equal(await access.resolve(other), "store_unavailable");
    assert.equal(await access.resolve(newBearer(PROXY_TOKEN_PREFIX)), "store_unavailable");
    assert.ok(performance.now() - startMs < 5_000);
    assert.equal(access.resolve(other), "store_unavailable", "the next one does not even wait");
    clock.advance(59_999);
    assert.ok(typeof access.resolve(token) !== "string");
    clock.advance(1);
    const late = await access.resolve(token);
    assert.equal(late, "store_unavailable");

    await gate.set("open");
    await eventually(async () => {
      clock.advance(1_000);
      return typeof (await access.resolve(token)) !== "string";
    }, 10_000);
    assert.ok(typeof (await access.resolve(other)) !== "string");
  });
}
