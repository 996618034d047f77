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
    const { agents, openGrants, workspaceId, database } = await createHouse(t, { clock });
    const gate = await createTcpGate(database.proxyUrl);
    const { grants } = await openGrants({ proxyUrl: gate.url, changesUrl: database.proxyUrl });
    t.after(() => gate.close());
    const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
    const { token: other } = await agents.deploy(actorIn(workspaceId), { name: "b" });
    assert.ok(typeof (await grants.resolve(token)) !== "string");

    await gate.set(mode);
    const startMs = performance.now();
    assert.equal(await grants.resolve(other), "store_unavailable");
    assert.equal(await grants.resolve(newBearer(PROXY_TOKEN_PREFIX)), "store_unavailable");
    assert.ok(performance.now() - startMs < 5_000);
    assert.equal(grants.resolve(other), "store_unavailable", "the next one does not even wait");
    clock.advance(59_999);
    assert.ok(typeof grants.resolve(token) !== "string");
    clock.advance(1);
    const late = await grants.resolve(token);
    assert.equal(late, "store_unavailable");

    await gate.set("open");
    await eventually(async () => {
      clock.advance(1_000);
      return typeof (await grants.resolve(token)) !== "string";
    }, 10_000);
    assert.ok(typeof (await grants.resolve(other)) !== "string");
  });
}
