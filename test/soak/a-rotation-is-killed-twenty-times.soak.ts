// Thousands of rows, three processes, and twenty times the one that rewraps is killed at a moment of chance.
import { test } from "node:test";
import { rotateUnderLoad } from "../e2e/rotation-under-load.ts";

test("twenty processes are killed while they rewrap: no call fails, no row is lost, and the new key alone is enough", async (t) => {
  const tally = await rotateUnderLoad(t, {
    rows: 4000,
    users: 200,
    kills: 20,
    others: 2,
    untilDone: true,
  });
  t.diagnostic(JSON.stringify(tally));
});
