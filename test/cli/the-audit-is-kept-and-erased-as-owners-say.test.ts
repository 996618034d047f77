import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli, runCli } from "./fixture.ts";

it("how long the audit is kept is set by a preset, in days, or for ever", async (t) => {
  const { run, json } = await openCli(t);
  const set = (time: string) => json(["workspace", "set", "--audit-retention", time]);
  assert.match((await run(["workspace", "show"])).stdout, /^Audit is kept +365 days$/m);
  for (const [time, days] of [
    ["hipaa", 2190],
    ["forever", null],
    ["soc2", 365],
    ["90d", 90],
  ] as const) {
    assert.partialDeepStrictEqual(await set(time), { auditRetentionDays: days }, time);
  }
  const shown = (await run(["workspace", "show"])).stdout;
  assert.match(shown, /^Audit is kept +90 days; as long as before until 20\d\d-/m);
  for (const wrong of ["29d", "36501d", "none"]) {
    const { status } = await run(["workspace", "set", "--audit-retention", wrong]);
    assert.equal(status, 2, wrong);
  }
});

it("a deleted user is erased by e-mail, once, and only by an owner", async (t) => {
  const { run, json, call, owner, setupToken, workspaceId, addKey, environment } = await openCli(t);
  const email = "gone@example.test";
  const password = "a FAKE passphrase of somebody, 7Kd";
  await call("POST", "/api/v1/setup", { token: setupToken, email, password }, null);
  const early = await run(["audit", "erase", email, "--yes"]);
  assert.equal(early.status, 1);
  assert.match(early.stderr, /Delete the user first/);
  await owner`delete from x3sproxy.users where workspace_id = ${workspaceId}`;
  const admin = { ...environment, X3SPROXY_API_KEY: await addKey("admin") };
  const refused = await runCli(["audit", "erase", email, "--yes"], { environment: admin });
  assert.match(refused.stderr, /role owner/);
  assert.partialDeepStrictEqual(await json(["audit", "erase", email, "--yes"]), {
    parts: 4, // made a user and signed in: who, and to whom
    waiting: 0,
  });
  const again = await run(["audit", "erase", email, "--yes"]);
  assert.equal(again.stdout, `Nothing is left of ${email}.\n`);
  assert.equal((await run(["audit", "erase", "nobody"])).status, 1);
});
