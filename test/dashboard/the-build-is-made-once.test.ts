import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { it } from "node:test";
import { buildDashboard } from "../../src/dashboard/build.ts";

it("a build whose sources are the same is left as it is", async () => {
  const page = new URL("../../dist/dashboard/index.html", import.meta.url);
  const before = await stat(page);
  assert.equal(await buildDashboard(), false);
  assert.equal((await stat(page)).mtimeMs, before.mtimeMs);
});
