// SIGKILL at 200 random moments under load, some within the start itself.
import assert from "node:assert/strict";
import { it } from "node:test";
import { killAgainAndAgain } from "../e2e/killing.ts";

const KILLS = 200;
const WITHIN_MS = 30 * 60_000;

it("killed 200 times under load: what happened is in the audit once, and it verifies", async (t) => {
  const report = await killAgainAndAgain(t, {
    ...{ kills: KILLS, withinMs: WITHIN_MS, longestWorkMs: 1_500 },
  });
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.kills, KILLS);
});
