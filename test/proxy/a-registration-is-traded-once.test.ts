// POST /_x3sproxy/register: from a registration to a token, and from everything else to the same refusal.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { hashBearer } from "../../src/platform/ids.ts";
import { actorIn } from "../support/actor.ts";
import { openDataPlane, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate, type TcpGate } from "../support/tcp-gate.ts";

const HOUR_MS = 3_600_000;
// Each call from an address of its own, so that the limit on failures is out of the way.
const ANY_ADDRESS = { X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8" };
let calls = 0;

const register = (plane: DataPlane, authorization?: string, init: RequestInit = {}) =>
  fetch(`${plane.url}/_x3sproxy/register`, {
    method: "POST",
    ...init,
    headers: {
      "x-forwarded-for": `10.0.${calls >> 8}.${calls++ & 255}`,
      ...(authorization !== undefined && { authorization }),
      ...(init.headers as Record<string, string> | undefined),
    },
  });
const make = async (plane: DataPlane, name = "agent", lifeMs = HOUR_MS) =>
  plane.registrations.create(actorIn(plane.workspaceId), name, lifeMs);
const tokenStatus = async (plane: DataPlane, token: string): Promise<string | number> => {
  const response = await fetch(`${plane.url}/_x3sproxy/token`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return response.headers.get("x3sproxy-refusal") ?? response.status;
};
const rows = <T extends object>(plane: DataPlane, query: string): Promise<T[]> =>
  withOwner(plane.ownerUrl, async (sql) => [...(await sql.unsafe<T[]>(query))]);

async function assertInvalid(response: Response): Promise<string> {
  const text = await response.text();
  assert.equal(response.status, 401, text);
  assert.equal(response.headers.get("x3sproxy-refusal"), "registration_invalid");
  return text.replace(/"request_id": ?"[^"]*"/, "");
}

test("a registration gives the agent's next token, and ends those that it had", async (t) => {
  const plane = await openDataPlane(t, { env: ANY_ADDRESS });
  const before = await plane.deploy("agent", { providers: ["openai"], ttlMs: 2 * HOUR_MS });
  const lease = await plane.leases.take(actorIn(plane.workspaceId), "agent");
  const { token: registration } = await make(plane);
  assert.match(registration, /^x3sreg_[A-Za-z0-9]{32}$/);
  const nowMs = Date.now();

  const response = await register(plane, `Bearer ${registration}`);
  assert.equal(response.status, 201);
  assert.equal(response.headers.get("cache-control"), "no-store");
  const { token, expiresAt, ...rest } = (await response.json()) as Record<string, unknown>;
  assert.deepEqual(rest, {
    agent: "agent",
    environment: "production",
    deployment: 2,
    baseUrls: { openai: `${plane.config.publicUrl}/openai` },
  });
  assert.match(String(token), /^x3sproxy_[A-Za-z0-9]{32}$/);
  const lifeMs = Date.parse(String(expiresAt)) - nowMs;
  assert.ok(Math.abs(lifeMs - 2 * HOUR_MS) < 60_000, "the life that was asked for at deploy");

  assert.equal(await tokenStatus(plane, String(token)), 200);
  for (const old of [before, lease.token]) {
    await eventually(async () => (await tokenStatus(plane, old)) === "unknown_token", 1_000);
  }
  await assertInvalid(await register(plane, `Bearer ${registration}`));
  assert.equal(await tokenStatus(plane, String(token)), 200, "the second trade changes nothing");

  const hashes = await rows<{ hash: string }>(
    plane,
    "select encode(hash, 'hex') as hash from x3sproxy.proxy_tokens",
  );
  assert.deepEqual(hashes, [{ hash: hashBearer(String(token)) }]);
  const log = JSON.stringify(plane.logged());
  for (const secret of [registration, String(token)]) assert.ok(!log.includes(secret.slice(9)));
});

test("the trade is in the audit, from where it came", async (t) => {
  const plane = await openDataPlane(t, { env: ANY_ADDRESS });
  await plane.deploy();
  const { registration, token } = await make(plane);
  await register(plane, `Bearer ${token}`, { headers: { "x-forwarded-for": "192.0.2.7" } });
  const events = await rows(
    plane,
    `select actor_kind, actor_id, actor_name, address, method, target_kind, target_name, result,
       detail
     from x3sproxy.audit_events where action = 'registration.trade'`,
  );
  assert.deepEqual(events, [
    {
      actor_kind: "link",
      actor_id: registration.id,
      actor_name: "registration by test",
      address: "192.0.2.7",
      method: "registration",
      target_kind: "agent",
      target_name: "agent",
      result: "done",
      detail: '{"deployment":"1 → 2"}',
    },
  ]);
});

const dead: Record<string, (plane: DataPlane) => Promise<string>> = {
  used: async (plane) => {
    const { token } = await make(plane);
    assert.equal((await register(plane, `Bearer ${token}`)).status, 201);
    return token;
  },
  revoked: async (plane) => {
    const { token, registration } = await make(plane);
    await plane.registrations.revoke(actorIn(plane.workspaceId), "agent", registration.id);
    return token;
  },
  expired: async (plane) => {
    const { token } = await make(plane);
    await rows(plane, "update x3sproxy.registrations set expires_at = now() - interval '1 ms'");
    return token;
  },
  "of an agent that was destroyed": async (plane) => {
    const { token } = await make(plane);
    await plane.agents.destroy(actorIn(plane.workspaceId), "agent");
    await plane.deploy();
    return token;
  },
  "of an agent that was redeployed": async (plane) => {
    const { token } = await make(plane);
    await plane.deploy();
    return token;
  },
  "never made": () => Promise.resolve(`x3sreg_${"A".repeat(32)}`),
  "of an agent that is suspended": async (plane) => {
    const { token } = await make(plane);
    await rows(plane, "update x3sproxy.agents set suspended_at = now()");
    return token;
  },
};

test("whatever is wrong with a registration, the answer is the same and nothing is deployed", async (t) => {
  const plane = await openDataPlane(t, { env: ANY_ADDRESS });
  await plane.deploy();
  const texts = new Set<string>();
  for (const [what, kill] of Object.entries(dead)) {
    const token = await kill(plane);
    const state = () =>
      rows(
        plane,
        "select deployments, hash from x3sproxy.agents join x3sproxy.proxy_tokens on true",
      );
    const before = await state();
    texts.add(await assertInvalid(await register(plane, `Bearer ${token}`)));
    assert.deepEqual(await state(), before, what);
  }
  assert.equal(texts.size, 1);
});

test("a suspended agent's registration is good again when it is resumed", async (t) => {
  const plane = await openDataPlane(t, { env: ANY_ADDRESS });
  await plane.deploy();
  const { token } = await make(plane);
  for (const [table, column] of [
    ["agents", "suspended_at"],
    ["workspaces", "agents_suspended_at"],
  ]) {
    await rows(plane, `update x3sproxy.${table ?? ""} set ${column ?? ""} = now()`);
    await assertInvalid(await register(plane, `Bearer ${token}`));
    await rows(plane, `update x3sproxy.${table ?? ""} set ${column ?? ""} = null`);
  }
  assert.equal((await register(plane, `Bearer ${token}`)).status, 201);
});

test("other methods and other forms trade nothing", async (t) => {
  const plane = await openDataPlane(t, { env: ANY_ADDRESS });
  const proxyToken = await plane.deploy();
  const { token } = await make(plane);
  const basic = Buffer.from(`user:${token}`).toString("base64");
  const forms = [
    undefined,
    "",
    token,
    `Basic ${basic}`,
    `Token ${token}`,
    `Bearer ${token}x`,
    `Bearer ${token.slice(0, -1)}`,
    `Bearer "${token}"`,
    `Bearer ${token}, Bearer ${token}`,
    `Bearer ${token} ${token}`,
    `Bearer ${token.toUpperCase()}`,
    `Bearer ${proxyToken}`,
  ];
  const texts = new Set<string>();
  for (const form of forms) texts.add(await assertInvalid(await register(plane, form)));
  for (const headers of [{ "x-api-key": token }, { "x-goog-api-key": token }]) {
    texts.add(await assertInvalid(await register(plane, undefined, { headers })));
  }
  assert.equal(texts.size, 1);
  for (const method of ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const response = await register(plane, `Bearer ${token}`, { method });
    assert.equal(response.status, 401, method);
    assert.equal(response.headers.get("x3sproxy-refusal"), "foreign_credential", method);
  }
  for (const path of ["/_x3sproxy/register/", "/_x3sproxy/Register", "/_x3sproxy//register"]) {
    const response = await fetch(plane.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    assert.notEqual(response.status, 201, path);
  }
  const body = JSON.stringify({ token });
  assert.equal((await register(plane, `Bearer ${token}`, { body })).status, 201, "still good");
});

test("the thirty-first failure within a minute from one address is told to wait; a registration that is good is traded", async (t) => {
  const plane = await openDataPlane(t, { env: ANY_ADDRESS });
  await plane.deploy();
  const { token } = await make(plane);
  const from = (address: string, credential: string) =>
    register(plane, `Bearer ${credential}`, { headers: { "x-forwarded-for": address } });
  for (let i = 0; i < 30; i++) await assertInvalid(await from("192.0.2.1", "nonsense"));
  const limited = await from("192.0.2.1", "nonsense");
  assert.equal(limited.status, 429);
  assert.equal(limited.headers.get("x3sproxy-refusal"), "rate_limited");
  const waitS = Number(limited.headers.get("retry-after"));
  assert.ok(waitS > 30 && waitS <= 60, String(waitS));
  await assertInvalid(await from("192.0.2.2", "nonsense"));
  assert.equal((await from("192.0.2.1", token)).status, 201);
});

async function openGated(t: TestContext): Promise<{ plane: DataPlane; gate: TcpGate }> {
  let gate: TcpGate | undefined;
  const plane = await openDataPlane(t, {
    through: async (url) => (gate = await createTcpGate(url)).url,
  });
  assert.ok(gate !== undefined);
  const opened = gate;
  t.after(() => opened.close());
  return { plane, gate };
}

test("while the database is away it answers 503, and the registration stays good", async (t) => {
  const { plane, gate } = await openGated(t);
  await plane.deploy();
  const { token } = await make(plane);
  await gate.set("refuse");
  for (let i = 0; i < 40; i++) {
    const response = await register(plane, `Bearer ${token}`);
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("x3sproxy-refusal"), "store_unavailable");
    assert.ok(Number(response.headers.get("retry-after")) >= 1);
  }
  await gate.set("open");
  await eventually(async () => (await register(plane, `Bearer ${token}`)).status === 201);
});
