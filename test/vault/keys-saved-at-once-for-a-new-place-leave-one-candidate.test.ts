// Several people save the first key of a place at once: one is active, and of the others one alone waits. No other may be left behind as a
// version that looks as if it had been active.
import assert from "node:assert/strict";
import { test } from "node:test";
import { actorIn } from "../support/actor.ts";
import { openSecrets } from "./database-fixture.ts";

test("of keys saved at once for a new place one is active and one is the candidate", async (t) => {
  const { secrets, workspaceId } = await openSecrets(t);
  const by = actorIn(workspaceId);
  for (let round = 0; round < 10; round++) {
    const place = { provider: "openai", environment: `round-${round}` };
    const saved = await Promise.all(
      [1, 2, 3, 4].map((n) =>
        secrets.propose(by, { ...place, value: `sk-proj-FAKE-at-once-test-${round}-00000${n}` }),
      ),
    );
    const id = saved[0]?.secret.id ?? "";
    const versions = await secrets.versions(workspaceId, id);
    assert.deepEqual(
      versions.map(({ version, active, candidate }) => ({ version, active, candidate })),
      [
        { version: 4, active: false, candidate: true },
        { version: 1, active: true, candidate: false },
      ],
    );
    await secrets.activate(by, id, 4);
    const back = await secrets.rollback(by, id);
    assert.equal(back.version, 1, "the one that was active before");
  }
});
