// Hundreds who sign in at once, from as many networks, with a database on another machine: each asks it several times. The emergency stop
// has its connection to it all the same.
import assert from "node:assert/strict";
import { it } from "node:test";
import ipaddr from "ipaddr.js";
import { openAdmin } from "../admin/fixture.ts";
import { createTestDatabase } from "../support/database.ts";
import { createLaggingRelay } from "../support/lagging-relay.ts";

const LOOPBACK = ipaddr.parseCIDR("127.0.0.0/8");
const ROUND_TRIP_MS = 10;
const STRANGERS = 500;

it("sign-ins in numbers hold up no emergency", async (t) => {
  const database = await createTestDatabase();
  const relay = await createLaggingRelay(database.controlUrl, ROUND_TRIP_MS);
  t.after(() => relay.close());
  const { send, apiKey } = await openAdmin(t, {
    database,
    controlUrl: relay.url,
    trustedProxies: [LOOPBACK],
  });
  const suspend = () =>
    send("/api/v1/workspace/suspend", {
      method: "POST",
      headers: { authorization: `Bearer ${apiKey}` },
    });
  assert.equal((await suspend()).status, 200);
  const strangers = Array.from({ length: STRANGERS }, (_, i) =>
    send("/api/v1/sign-in", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-forwarded-for": `198.51.${100 + (i >> 8)}.${i & 255}`,
      },
      body: JSON.stringify({ email: `nobody-${i}@example.test`, password: "a-FAKE-guess" }),
    }),
  );
  await strangers[0]; // by then the others wait, too
  const stopped = await suspend();
  assert.equal(stopped.status, 200, stopped.text);
  const ended = await Promise.all(strangers);
  const statuses = new Set(ended.map(({ status }) => status));
  assert.deepEqual(
    [...statuses].filter((status) => status !== 401 && status !== 503),
    [],
  );
});
