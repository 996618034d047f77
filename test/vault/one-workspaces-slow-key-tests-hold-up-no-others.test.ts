// Tests of one workspace's keys wait for a provider that says nothing. Another workspace's key is tested meanwhile: without a test it
// could not be rotated.
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { newId } from "../../src/platform/ids.ts";
import { createKeyTests } from "../../src/vault/index.ts";
import { actorIn } from "../support/actor.ts";
import { openSecrets } from "./database-fixture.ts";

test("a workspace has its own places for key tests", async (t) => {
  const { secrets, vault, workspaceId, addWorkspace, database } = await openSecrets(t);
  const pool = createPool(database.controlUrl);
  t.after(() => pool.close());
  const waiting: (() => void)[] = [];
  const arrived = Promise.withResolvers<undefined>();
  const keyTests = createKeyTests({
    ...{ pool, vault, clock: systemClock, processId: newId() },
    callProvider: ({ path }) =>
      new Promise((resolve) => {
        assert.match(path, /models/);
        waiting.push(() => resolve(200));
        if (waiting.length === 4) arrived.resolve(undefined);
        if (waiting.length > 4) resolve(401);
      }),
  });
  const save = async (inWorkspace: string) => {
    const by = actorIn(inWorkspace);
    const value = "sk-proj-FAKE-places-test-000001";
    const { id } = await secrets.set(by, { provider: "openai", environment: "production", value });
    return () => keyTests.test(by, id);
  };
  const slow = await save(workspaceId);
  const other = await save(await addWorkspace("other"));
  const under = [slow(), slow(), slow(), slow()];
  await arrived.promise;
  await assert.rejects(slow(), { status: 503, code: "busy" });
  assert.equal((await other()).reason, "refused");
  for (const end of waiting) end();
  for (const { reason } of await Promise.all(under)) assert.equal(reason, "accepted");
});
