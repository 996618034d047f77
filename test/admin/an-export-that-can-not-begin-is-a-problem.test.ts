import assert from "node:assert/strict";
import { it } from "node:test";
import { openAdmin } from "./fixture.ts";

it("what fails before the first event is a problem, and not a 200 that breaks off", async (t) => {
  const { call, owner, sequencer } = await openAdmin(t);
  await call("POST", "/api/v1/agents/one/deployments", {});
  await sequencer.run();
  await owner`alter table x3sproxy.audit_leaves rename column leaf_hash to gone`;
  // At once: each waits for a while for its own event to be sealed, which can't be now.
  const answers = ["", "?format=csv", "?action=agent.deploy"].map((query) =>
    call("GET", `/api/v1/audit/export${query}`),
  );
  for (const { status, headers, body } of await Promise.all(answers)) {
    assert.equal(status, 500);
    assert.equal(headers.get("content-type"), "application/problem+json; charset=utf-8");
    assert.equal(body["code"], "internal_error");
  }
});

it("an export that nothing is in is whole", async (t) => {
  const { call } = await openAdmin(t);
  for (const [query, lines] of [
    ["?format=csv&to=2020-01-01T00:00:00Z", 1],
    ["?to=2020-01-01T00:00:00Z", 3],
  ] as const) {
    const { status, text } = await call("GET", `/api/v1/audit/export${query}`);
    assert.equal(status, 200);
    assert.ok(text.trimEnd().split("\n").length >= lines, text);
  }
});
