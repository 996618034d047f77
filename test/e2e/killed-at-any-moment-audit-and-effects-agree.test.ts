import assert from "node:assert/strict";
import { test } from "node:test";
import { killAgainAndAgain } from "./killing.ts";

// The soak test does it two hundred times.
test("killed a few times under load: what happened is in the audit once, and it verifies", async (t) => {
  const report = await killAgainAndAgain(t, { kills: 3, withinMs: 10_000, longestWorkMs: 1_500 });
  t.diagnostic(JSON.stringify(report));
  assert.ok(report.kills > 0 && report.calls > 10 && report.answered > 10);
});
