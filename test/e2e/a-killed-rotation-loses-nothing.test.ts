// The small sibling of test/soak/a-rotation-is-killed-twenty-times.soak.ts.
import { test } from "node:test";
import { rotateUnderLoad } from "./rotation-under-load.ts";

test("a process is killed while it rewraps: no call fails, no row is lost, and the new key alone is enough", async (t) => {
  await rotateUnderLoad(t, { rows: 400, users: 10, kills: 1, others: 1, untilDone: false });
});
