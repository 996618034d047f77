import assert from "node:assert/strict";
import { it } from "node:test";
import { bootstrap } from "../../src/identity/index.ts";
import { CLIENT, openIdentity } from "./fixture.ts";

it("twenty at once with one link make one user", async (t) => {
  const { owner, setUp } = await openIdentity(t);
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, i) => setUp(`user-${i}@example.test`)),
  );
  assert.equal(outcomes.filter((outcome) => outcome === "made").length, 1, outcomes.join());
  assert.equal(outcomes.filter((outcome) => outcome === "setup_link_invalid").length, 19);
  const users = await owner`select role from x3sproxy.users`;
  assert.deepEqual([...users], [{ role: "owner" }]);
  assert.equal((await owner`select from x3sproxy.setup_links`).count, 0);
});

it("a password that is refused leaves the link good", async (t) => {
  const { owner, setUp } = await openIdentity(t);
  assert.equal(await setUp("first@example.test", undefined, "eleven char"), "password_too_short");
  assert.equal(await setUp("first@example.test", undefined, "x".repeat(1025)), "password_too_long");
  assert.equal((await owner`select from x3sproxy.users`).count, 0);
  assert.equal(await setUp("first@example.test"), "made");
});

it("unknown, malformed, expired and replaced links get the same answer", async (t) => {
  const { ownerUrl, owner, identity, setupToken } = await openIdentity(t);
  const { setupToken: second } = await bootstrap(ownerUrl, { makeApiKey: false });
  assert.ok(second !== undefined);
  await owner`update x3sproxy.setup_links set expires_at = now() - interval '1 second'`;
  const messages = new Set<string>();
  for (const token of [
    "",
    "x",
    "x3ssetup_short",
    `x3ssetup_${"A".repeat(32)}`,
    setupToken,
    second,
  ]) {
    await assert.rejects(
      identity.links.setUp(
        { token, email: "first@example.test", password: "a long enough password" },
        CLIENT,
      ),
      (error: Error & { status?: number; code?: string }) => {
        messages.add(`${error.status ?? ""} ${error.code ?? ""} ${error.message}`);
        return true;
      },
    );
  }
  assert.equal(messages.size, 1);
  assert.match([...messages].join(), /^401 setup_link_invalid /);
});

it("a link that outlived the first user makes no second one", async (t) => {
  const { owner, workspaceId, setUp } = await openIdentity(t);
  await owner`
    insert into x3sproxy.users (id, workspace_id, email, password_hash, role)
    values (gen_random_uuid(), ${workspaceId}, 'first@example.test', 'none', 'owner')`;
  assert.equal(await setUp("second@example.test"), "setup_link_invalid");
  assert.equal((await owner`select from x3sproxy.users`).count, 1);
});
