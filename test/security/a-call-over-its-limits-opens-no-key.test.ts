// Limits come before the key: what they refuse has nothing released and nothing opened.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { openTarget } from "../support/attack.ts";
import { get } from "../support/limits.ts";

test("a call that is over its agent's limits leaves no release", async (t) => {
  const { plane, sent, ask } = await openTarget(t, { providers: ["openai", "anthropic"] });
  const token = await plane.deploy("limited", { limits: { requestsPerMinute: 1 } });
  const releases = async (): Promise<string[]> => {
    const rows = await withOwner(
      plane.ownerUrl,
      (sql) => sql<{ target: string }[]>`
        select target_name as target from x3sproxy.audit_events
        where action = 'secret.release' order by id`,
    );
    return rows.map(({ target }) => target);
  };
  assert.equal((await get(plane, token)).status, 200);
  assert.deepEqual(await releases(), ["openai/production"]);
  sent();

  const refused = await ask([
    "GET /anthropic/v1/models HTTP/1.1",
    `Authorization: Bearer ${token}`,
  ]);
  assert.equal(refused.header("x3sproxy-refusal"), "rate_limited");
  assert.equal(sent(), "");
  assert.deepEqual(await releases(), ["openai/production"]);
  const record = await plane.exchange((line) => line["reason"] === "rate_limited");
  assert.equal(record["secretId"], undefined, "and its record names no key");
});
