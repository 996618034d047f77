import assert from "node:assert/strict";
import { it } from "node:test";
import { fastify } from "fastify";
import { installFunnel } from "../../src/admin/funnel.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { openAdmin } from "./fixture.ts";

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
      authenticateSession: () => Promise.resolve(undefined),
    },
    log: createLog({ level: "error" }),
    metrics: createMetrics(),
    clock: systemClock,
    dashboardUrl: "http://localhost",
    listening: () => undefined,
  });
  assert.throws(() => app.get("/api/v1/forgotten", () => "open"), /declares no permission/);
});
