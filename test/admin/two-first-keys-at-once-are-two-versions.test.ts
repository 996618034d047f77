// Somebody saves the first key of a place while another one saves and rotates it: the later one is told of the earlier one's key, and
// throws its candidate away, as if it had come a moment later.
import assert from "node:assert/strict";
import { it } from "node:test";
import { eventually } from "../support/eventually.ts";
import { openAdmin, stringAt } from "./fixture.ts";

it("the later one takes the place of the earlier one's candidate", async (t) => {
  const { call, owner, database } = await openAdmin(t);
  const save = (environment: string, value: string, skipTest: boolean) =>
    call("PUT", "/api/v1/secrets", { provider: "openai", environment, value, skipTest });
  // A key with a candidate that is not committed yet, copied from another environment.
  const first = await save("staging", "FAKE-key-under-test-4f1Zq0-wxyz", true);
  assert.equal(first.status, 201, first.text);
  const refused = await save("staging", "FAKE-newer-key-under-test-9b7K-abcd", false);
  assert.equal(refused.body["code"], "key_unproved", refused.text);
  const id = "00000000-0000-4000-8000-000000000001";
  const { saving } = await owner.begin(async (sql) => {
    await sql`
      insert into x3sproxy.secrets (id, workspace_id, provider, environment, active_version, candidate_version, last_version)
      select ${id}, workspace_id, provider, 'production', active_version, candidate_version, last_version from x3sproxy.secrets`;
    await sql`
      insert into x3sproxy.secret_versions
        (secret_id, workspace_id, version, origin, header, scheme, key_id, wrapped_key, ciphertext, mask)
      select ${id}, workspace_id, version, origin, header, scheme, key_id, wrapped_key, ciphertext, mask
      from x3sproxy.secret_versions`;
    const later = save("production", "FAKE-latest-key-under-test-7Tz0-efgh", true);
    await eventually(async () => {
      const waiting = await owner`
        select from pg_stat_activity
        where datname = ${new URL(database.ownerUrl).pathname.slice(1)} and wait_event_type = 'Lock'`;
      return waiting.count === 1;
    });
    return { saving: later.then((answer) => ({ answer })) };
  });
  const { answer } = await saving;
  assert.deepEqual([answer.status, stringAt(answer, "secret", "id")], [200, id], answer.text);
  const { versions } = (await call("GET", `/api/v1/secrets/${id}/versions`)).body as {
    versions: { version: number }[];
  };
  assert.deepEqual(
    versions.map(({ version }) => version),
    [3, 1],
  );
  const { events } = (await call("GET", `/api/v1/audit?target=${id}`)).body as {
    events: { action: string; detail: string }[];
  };
  assert.deepEqual(
    events.map(({ action, detail }) => [action, JSON.parse(detail) as unknown]),
    [
      ["secret.set", { version: "1 → 3" }],
      ["secret.discard", { candidate: "2 → none" }],
    ],
  );
});
