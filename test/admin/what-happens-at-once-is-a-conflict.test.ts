import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY, openAdmin } from "./fixture.ts";

const AT_ONCE = 8;

it("what is made several times at once is made, or a conflict, and no error of ours", async (t) => {
  const { call, log } = await openAdmin(t);
  for (const [method, path, body] of [
    ["POST", "invitations", { email: "ada@example.test", role: "viewer" }],
    ["POST", "api-keys", { name: "one", role: "viewer" }],
    ["POST", "workspaces", { name: "one" }],
    ["PUT", "secrets", { provider: "openai", value: FAKE_KEY, skipTest: true }],
    ["PUT", "providers/one", { origin: "https://llm.example.com" }],
    ["POST", "agents/one/deployments", {}],
    ["POST", "agents/one/registrations", {}],
    ["POST", "agents/one/leases", {}],
    ["PATCH", "environments/production", { name: "other" }],
    ["PATCH", "workspace", { name: "renamed" }],
    ["DELETE", "agents/one", undefined],
  ] as const) {
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, () => call(method, `/api/v1/${path}`, body)),
    );
    assert.ok(
      answers.some(({ status }) => status < 300),
      `${path}: ${answers[0]?.text ?? ""}`,
    );
    for (const { status, text } of answers) {
      assert.ok(status < 300 || status === 409 || status === 404, `${path}: ${text}`);
    }
  }
  assert.deepEqual(
    log.filter((line) => line.includes('"level":50')),
    [],
  );
  // One after the other the later invitation takes the earlier one's place.
  assert.equal(
    (await call("POST", "/api/v1/invitations", { email: "ada@example.test", role: "admin" }))
      .status,
    201,
  );
});

it("a row like it, that came in between, is a conflict", async (t) => {
  const { call, owner } = await openAdmin(t);
  await owner.unsafe(`
    create function x3sproxy.come_in_between() returns trigger language plpgsql as $$
      begin raise exception using errcode = 'unique_violation', message = 'FAKE'; end $$;
    create trigger come_in_between before insert on x3sproxy.invitations
      for each row execute function x3sproxy.come_in_between();`);
  const body = { email: "ada@example.test", role: "viewer" };
  const { status, body: problem } = await call("POST", "/api/v1/invitations", body);
  assert.equal(status, 409);
  assert.equal(problem["code"], "conflict");
  assert.match(
    String(problem["detail"]),
    /at the same moment\. Look at how it is now, then try again\.$/,
  );
});
