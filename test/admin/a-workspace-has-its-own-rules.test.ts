import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY } from "./fixture.ts";
import { assertRefused, openPeople } from "./people.ts";

it("its name and rules are seen by all and changed by owners, one by one", async (t) => {
  const { first, join, workspaceId, events, addWorkspace } = await openPeople(t);
  const { browser: viewer } = await join("viewer@example.test", "viewer");
  await first.call("PUT", "/secrets", {
    provider: "openai",
    environment: "staging",
    value: FAKE_KEY,
  });
  await first.call("POST", "/agents/coder/deployments", { environment: "production" });
  assert.deepEqual((await viewer.call("GET", "/workspace")).body["workspace"], {
    id: workspaceId,
    name: "default",
    secondFactorRequired: false,
    rotationDays: 90,
    idleDays: 14,
    agentsSuspendedAt: null,
    environments: ["production", "staging"],
  });
  const change = (body: object) => first.call("PATCH", "/workspace", body);
  assert.equal((await change({ name: "acme" })).status, 200);
  const changed = await change({ rotationDays: 30, idleDays: 7 });
  assert.partialDeepStrictEqual(changed.body["workspace"], {
    name: "acme",
    rotationDays: 30,
    idleDays: 7,
    secondFactorRequired: false,
  });
  assert.equal((await events("workspace.change")).length, 2);
  await addWorkspace("elsewhere");
  assertRefused(await change({ name: "elsewhere" }), 409, "name_taken");
  for (const body of [
    { name: "Not A Name" },
    { rotationDays: 0 },
    { idleDays: 1.5 },
    { id: "x" },
  ]) {
    assertRefused(await change(body), 422, "invalid_request");
  }
});
