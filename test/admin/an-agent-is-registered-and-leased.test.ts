// Registrations and leases over REST.
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { hashBearer } from "../../src/platform/ids.ts";
import { openAdmin, stringAt } from "./fixture.ts";

const PATH = "/api/v1/agents/coder";

async function open(t: TestContext) {
  const admin = await openAdmin(t);
  assert.equal((await admin.call("POST", `${PATH}/deployments`, {})).status, 201);
  const actions = async () => {
    const rows = await admin.owner<{ action: string; target_name: string; result: string }[]>`
      select action, target_name, result from x3sproxy.audit_events
      where action like 'registration.%' or action like 'lease.%' order by id`;
    return rows.map(({ action, target_name, result }) => `${action} ${target_name} ${result}`);
  };
  return { ...admin, actions };
}

it("a registration is made, listed without its token, and revoked", async (t) => {
  const { call, owner, actions, log } = await open(t);
  const made = await call("POST", `${PATH}/registrations`, { expiresInSeconds: 600 });
  assert.equal(made.status, 201);
  const token = stringAt(made, "token");
  assert.match(token, /^x3sreg_[A-Za-z0-9]{32}$/);
  const { registration } = made.body as { registration: Record<string, string> };
  assert.equal(registration["agent"], "coder");
  const lifeMs =
    Date.parse(registration["expiresAt"] ?? "") - Date.parse(registration["createdAt"] ?? "");
  assert.equal(lifeMs, 600_000);
  const stored = await owner<{ hash: string }[]>`
    select encode(hash, 'hex') as hash from x3sproxy.registrations`;
  assert.deepEqual([...stored], [{ hash: hashBearer(token) }]);

  const list = await call("GET", `${PATH}/registrations`);
  assert.deepEqual(list.body, { registrations: [registration] });
  const id = registration["id"] ?? "";
  assert.deepEqual((await call("DELETE", `${PATH}/registrations/${id}`)).body, { registration });
  assert.equal(
    (await call("DELETE", `${PATH}/registrations/${id}`)).body["code"],
    "registration_not_found",
  );
  assert.deepEqual((await call("GET", `${PATH}/registrations`)).body, { registrations: [] });
  assert.deepEqual(await actions(), [
    "registration.create coder done",
    "registration.revoke coder done",
  ]);
  assert.equal(log.join("").includes(token), false);
});

it("it lives for an hour by default, for a day at most, and is not listed afterwards", async (t) => {
  const { call, clock } = await open(t);
  const made = await call("POST", `${PATH}/registrations`, {});
  const { registration } = made.body as { registration: Record<string, string> };
  const lifeMs =
    Date.parse(registration["expiresAt"] ?? "") - Date.parse(registration["createdAt"] ?? "");
  assert.equal(lifeMs, 3_600_000);
  for (const expiresInSeconds of [86_401, 59, 0, -1, 1.5, null, "600"]) {
    const { status } = await call("POST", `${PATH}/registrations`, { expiresInSeconds });
    assert.equal(status, 422, String(expiresInSeconds));
  }
  clock.advance(3_600_000);
  assert.deepEqual((await call("GET", `${PATH}/registrations`)).body, { registrations: [] });
});

it("an agent has a hundred registrations at most", async (t) => {
  const { call, clock } = await open(t);
  const make = () => call("POST", `${PATH}/registrations`, { expiresInSeconds: 60 });
  const made = await Promise.all(Array.from({ length: 105 }, make));
  assert.equal(made.filter(({ status }) => status === 201).length, 100);
  for (const { status, body } of made) {
    if (status !== 201) assert.equal(body["code"], "too_many_registrations");
  }
  clock.advance(60_000);
  assert.equal((await make()).status, 201);
});

it("another agent's is not found under this one's name", async (t) => {
  const { call } = await open(t);
  await call("POST", "/api/v1/agents/other/deployments", {});
  const id = stringAt(await call("POST", `${PATH}/registrations`, {}), "registration", "id");
  const lease = stringAt(await call("POST", `${PATH}/leases`, {}), "lease", "id");
  const other = "/api/v1/agents/other";
  assert.equal((await call("DELETE", `${other}/registrations/${id}`)).status, 404);
  assert.equal((await call("PUT", `${other}/leases/${lease}`)).status, 404);
  assert.equal((await call("DELETE", `${other}/leases/${lease}`)).status, 404);
  assert.equal((await call("PUT", `${PATH}/leases/${lease}`)).status, 200);
});

it("a lease is taken, renewed and ended; its renewals are not in the audit", async (t) => {
  const { call, clock, actions, log } = await open(t);
  const taken = await call("POST", `${PATH}/leases`, {});
  assert.equal(taken.status, 201);
  assert.match(stringAt(taken, "token"), /^x3sproxy_[A-Za-z0-9]{32}$/);
  assert.equal(stringAt(taken, "agent", "name"), "coder");
  assert.equal(stringAt(taken, "baseUrls", "openai"), "https://llm.example.test/openai");
  const lease = stringAt(taken, "lease", "id");
  const first = Date.parse(stringAt(taken, "lease", "expiresAt"));
  clock.advance(90_000);
  const renewed = await call("PUT", `${PATH}/leases/${lease}`);
  const moved = Date.parse(stringAt(renewed, "lease", "expiresAt")) - first;
  assert.ok(moved >= 90_000 && moved < 100_000, String(moved));
  assert.equal((await call("DELETE", `${PATH}/leases/${lease}`)).status, 204);
  const gone = await call("PUT", `${PATH}/leases/${lease}`);
  assert.deepEqual([gone.status, gone.body["code"]], [404, "lease_not_found"]);
  assert.deepEqual(await actions(), ["lease.create coder done", "lease.end coder done"]);
  assert.equal(log.join("").includes(stringAt(taken, "token")), false);
});

it("the workspace says after how many days unused tokens end", async (t) => {
  const { call } = await open(t);
  const limit = async () => (await call("GET", "/api/v1/workspace")).body["workspace"] as object;
  assert.ok("unusedDays" in (await limit()));
  for (const unusedDays of [30, null, 1, 3650]) {
    assert.equal((await call("PATCH", "/api/v1/workspace", { unusedDays })).status, 200);
    await call("PATCH", "/api/v1/workspace", { idleDays: 14 });
    assert.equal(((await limit()) as { unusedDays: unknown }).unusedDays, unusedDays);
  }
  for (const unusedDays of [0, 3651, 1.5, "30"]) {
    assert.equal((await call("PATCH", "/api/v1/workspace", { unusedDays })).status, 422);
  }
});
