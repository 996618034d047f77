import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { it } from "node:test";
import { fastify } from "fastify";
import { installFunnel } from "../../src/admin/funnel.ts";
import { systemClock } from "../../src/clock.ts";
import { createLog } from "../../src/log.ts";
import { openAdmin } from "./fixture.ts";

const ID = "00000000-0000-4000-8000-000000000000";
const ROLES = ["viewer", "operator", "admin", "owner"] as const;
const ROUTES = [
  ["get", "/api/v1/whoami", "viewer"],
  ["get", "/api/v1/secrets", "viewer"],
  ["put", "/api/v1/secrets", "admin"],
  ["get", "/api/v1/secrets/:id/versions", "viewer"],
  ["post", "/api/v1/secrets/:id/rollback", "admin"],
  ["delete", "/api/v1/secrets/:id", "admin"],
  ["get", "/api/v1/agents", "viewer"],
  ["post", "/api/v1/agents/:name/deployments", "operator"],
  ["delete", "/api/v1/agents/:name", "operator"],
  ["get", "/api/v1/providers", "viewer"],
  ["put", "/api/v1/providers/:name", "admin"],
  ["delete", "/api/v1/providers/:name", "admin"],
] as const;
const WITHOUT_KEY = ["post /api/v1/setup"];

function concrete(path: string): string {
  return path.replace(":id", ID).replace(":name", "someone");
}

it("the list of routes here is complete", async () => {
  const folder = new URL("../../src/admin/", import.meta.url);
  const found: string[] = [];
  for (const file of await readdir(folder)) {
    if (!file.endsWith(".ts")) continue;
    const source = await readFile(new URL(file, folder), "utf8");
    for (const match of source.matchAll(/app\s*\.(\w+)\(\s*"(\/api[^"]*)"/g)) {
      found.push(`${match[1] ?? ""} ${match[2] ?? ""}`);
    }
  }
  const listed = [...ROUTES.map(([method, path]) => `${method} ${path}`), ...WITHOUT_KEY];
  assert.deepEqual(found.sort(), listed.sort());
});

it("without a key, with a malformed one and with an unknown one the answer is the same 401", async (t) => {
  const { send, clock } = await openAdmin(t);
  const attempts = [
    undefined,
    "Bearer ",
    "Bearer nonsense",
    `Bearer x3skey_${"A".repeat(32)}`,
    `Bearer x3sproxy_${"A".repeat(32)}`,
    `Basic ${Buffer.from("admin:admin").toString("base64")}`,
    "Bearer ' or 1=1 --",
  ];
  const texts = new Set<string>();
  for (const [method, path] of ROUTES) {
    for (const authorization of attempts) {
      clock.advance(60_000); // past the limit on failures
      const answer = await send(concrete(path), {
        method: method.toUpperCase(),
        headers: { ...(authorization !== undefined && { authorization }) },
      });
      assert.equal(answer.status, 401, `${method} ${path} with ${authorization ?? "nothing"}`);
      assert.equal(answer.headers.get("www-authenticate"), 'Bearer realm="x3sproxy"');
      texts.add(answer.text);
    }
  }
  assert.equal(texts.size, 1);
});

it("a key of a lower role gets 403, one of the role or above gets past", async (t) => {
  const { call, addKey } = await openAdmin(t);
  for (const [rank, role] of ROLES.entries()) {
    const key = await addKey(role);
    for (const [method, path, needed] of ROUTES) {
      const { status, body } = await call(method.toUpperCase(), concrete(path), undefined, key);
      const refused = status === 403 && body["code"] === "role_too_low";
      assert.equal(refused, rank < ROLES.indexOf(needed), `${role}: ${method} ${path}: ${status}`);
    }
  }
});

it("an auditor's key opens nothing here", async (t) => {
  const { call, addKey } = await openAdmin(t);
  const key = await addKey("auditor");
  for (const [method, path] of ROUTES) {
    const { status } = await call(method.toUpperCase(), concrete(path), undefined, key);
    assert.equal(status, 403, `${method} ${path}`);
  }
});

it("an expired key is an unknown key", async (t) => {
  const { call, owner, addKey } = await openAdmin(t);
  const key = await addKey("owner");
  assert.equal((await call("GET", "/api/v1/whoami", undefined, key)).status, 200);
  await owner`update x3sproxy.api_keys set expires_at = now() - interval '1 second' where name = 'owner'`;
  assert.equal((await call("GET", "/api/v1/whoami", undefined, key)).status, 401);
});

it("a route without a permission can't be added", () => {
  const app = fastify();
  installFunnel(app, {
    identity: {
      authenticateApiKey: () => Promise.resolve(undefined),
      createFirstUser: () => Promise.reject(new Error("not here")),
    },
    log: createLog({ level: "error" }),
    clock: systemClock,
    dashboardUrl: "http://localhost",
    listening: () => undefined,
  });
  assert.throws(() => app.get("/api/v1/forgotten", () => "open"), /declares no permission/);
});
