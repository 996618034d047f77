import assert from "node:assert/strict";
import { it } from "node:test";
import { assertHides, stringAt } from "./fixture.ts";
import { OWNER_EMAIL, PASSWORD, openPeople, tokenOf } from "./people.ts";

it("each change, sign-in and refusal, with who, how and from where, and no secret", async (t) => {
  const { first, browse, join, enrol, nextCode, call, events, owner } = await openPeople(t);
  const worker = await join("worker@example.test", "viewer");
  const { phone, recoveryCodes } = await enrol(worker.browser);
  const steps: readonly (readonly [action: string, () => Promise<unknown>])[] = [
    ["user.sign_in", () => browse().signIn(worker.email, PASSWORD, nextCode(phone))],
    ["user.sign_in_refused", () => browse().signIn(worker.email, "wrong")],
    ["user.proof", () => first.call("POST", "/me/proof", { password: PASSWORD })],
    ["user.proof_refused", () => first.call("POST", "/me/proof", { password: "wrong" })],
    ["recovery_codes.renew", () => worker.browser.call("POST", "/me/recovery-codes")],
    ["second_factor.remove", () => worker.browser.call("DELETE", "/me/second-factor")],
    ["second_factor.enrol", () => enrol(worker.browser)],
    ["session.end", () => worker.browser.call("DELETE", "/me/sessions")],
    ["user.change", () => first.call("PATCH", `/users/${worker.id}`, { role: "operator" })],
    ["reset_link.create", () => first.call("POST", `/users/${worker.id}/reset`, {})],
    ["workspace.change", () => first.call("PATCH", "/workspace", { idleDays: 3 })],
    ["user.delete", () => call("DELETE", `/api/v1/users/${worker.id}`)],
    ["user.sign_out", () => first.call("POST", "/sign-out")],
  ];
  for (const [action, act] of steps) {
    const before = (await events()).length;
    await act();
    const made = (await events()).slice(before);
    assert.deepEqual(
      made.map((event) => event["action"]),
      [action],
    );
    for (const { actor_name, address, method, target_name } of made) {
      const byKey = action === "user.delete";
      assert.ok([OWNER_EMAIL, worker.email, "bootstrap"].includes(String(actor_name)));
      assert.equal(actor_name === "bootstrap", byKey);
      if (!byKey) assert.match(String(address), /^10\./);
      assert.match(String(method), byKey ? /^api_key$/ : /^(session|password(\+totp)?)$/);
      assert.notEqual(target_name, "");
    }
  }
  const text = JSON.stringify(
    await owner`select to_jsonb(e)::text as text from x3sproxy.audit_events e`,
  );
  for (const secret of [PASSWORD, phone.seed, ...recoveryCodes]) assertHides(text, secret);
});

it("is in the same transaction: without its event nothing of it happens", async (t) => {
  const { first, browse, owner, ownerId, join } = await openPeople(t);
  const { id } = await join("worker@example.test", "viewer");
  const invited = await first.call("POST", "/invitations", {
    email: "a@example.test",
    role: "viewer",
  });
  const tables = [
    "users",
    "sessions",
    "invitations",
    "resets",
    "api_keys",
    "second_factors",
    "workspaces",
  ];
  const dump = async () =>
    Promise.all(
      tables.map((table) =>
        owner.unsafe(
          `select to_jsonb(t) - 'last_used_at' - 'window_started_at' as row from x3sproxy.${table} t order by 1`,
        ),
      ),
    );
  const before = await dump();
  await owner`revoke insert on x3sproxy.audit_events from x3sproxy_control`;
  for (const [method, path, body] of [
    ["POST", "/invitations", { email: "b@example.test", role: "viewer" }],
    ["DELETE", `/invitations/${stringAt(invited, "invitation", "id")}`],
    ["PATCH", `/users/${id}`, { role: "admin" }],
    ["DELETE", `/users/${id}`],
    ["POST", `/users/${ownerId}/reset`, {}],
    ["POST", "/api-keys", { name: "ci", role: "viewer" }],
    ["PATCH", "/workspace", { idleDays: 3 }],
    ["PUT", "/me/password", { current: PASSWORD, password: "another good one" }],
    ["POST", "/me/proof", { password: PASSWORD }],
    ["DELETE", "/me/second-factor"],
    ["DELETE", "/me/sessions"],
    ["POST", "/sign-out"],
  ] as const) {
    assert.equal((await first.call(method, path, body)).status, 500, `${method} ${path}`);
  }
  assert.equal((await browse().signIn(OWNER_EMAIL)).status, 500);
  const accept = { token: tokenOf(invited), password: PASSWORD };
  assert.equal((await browse().call("POST", "/invitations/accept", accept)).status, 500);
  assert.deepEqual(await dump(), before);
});
