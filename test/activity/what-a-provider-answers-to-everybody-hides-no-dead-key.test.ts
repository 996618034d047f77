// OpenRouter lists its models for whoever asks, and clients ask for them again and again. With a dead key that is the one call that goes
// well: it must not end the count of the others. Nor may OPTIONS, which servers answer without a look at the key.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createActivityViews } from "../../src/activity/index.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { ask } from "../support/attack.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";

test("calls that prove no key end no count of refused ones", async (t) => {
  let isDead = true;
  const upstream = await createHttpUpstream((request, response) => {
    const isOpen = request.method === "OPTIONS" || request.url?.startsWith("/api/v1/models");
    response.writeHead(isOpen === true || !isDead ? 200 : 401).end("{}");
  });
  t.after(() => upstream.close());
  const plane = await openDataPlane(t, { env: { X3SPROXY_ORIGIN_OPENROUTER: upstream.origin } });
  await plane.save("openrouter", "sk-or-v1-FAKE-0123456789abcdef0123456789abcdef");
  const token = await plane.deploy();
  const pool = createPool(plane.database.controlUrl);
  t.after(() => pool.close());
  const views = createActivityViews({ pool, clock: systemClock });
  const call = async (line: string, status: number) => {
    const { status: got } = await ask(plane.port, [
      `${line} HTTP/1.1`,
      `Authorization: Bearer ${token}`,
    ]);
    assert.equal(got, status, line);
  };
  const untilTold = (calls: number | undefined) =>
    eventually(async () => {
      const refusals = await views.keyRefusals(plane.workspaceId, null);
      return [...refusals.values()][0]?.calls === calls;
    }, 20_000);
  for (let n = 0; n < 6; n++) {
    await call("GET /openrouter/api/v1/credits", 401);
    await call("GET /openrouter/api/v1/models", 200);
    await call("GET /openrouter/api/v1/models/openai/gpt-5/endpoints?x=1", 200);
    await call("OPTIONS /openrouter/api/v1/credits", 200);
  }
  await untilTold(6);
  isDead = false;
  await call("GET /openrouter/api/v1/credits", 200);
  await untilTold(undefined);
});
