// Records are made in batches: whoever reads the metrics right after an answer must find it counted all the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readSamples } from "../metrics/exposition.ts";
import { openDataPlane } from "../support/data-plane.ts";

test("a scrape right after an answer counts it", async (t) => {
  const plane = await openDataPlane(t);
  for (let calls = 1; calls <= 5; calls += 1) {
    const refused = await fetch(`${plane.url}/openai/v1/models`);
    assert.equal(refused.status, 401);
    await refused.text();
    const samples = readSamples(await plane.metrics.text());
    for (const name of ["x3sproxy_exchanges_total", "x3sproxy_refusals_total"]) {
      const counted = samples.filter((sample) => sample.name === name);
      assert.equal(
        counted.reduce((sum, { value }) => sum + value, 0),
        calls,
        name,
      );
    }
  }
});
