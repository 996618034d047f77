// The generators of the security tests, with other inputs each time and many more of them.
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";
import { checkReadings } from "../security/servers-behind.ts";
import { checkFields, checkParameters } from "../security/side-doors.ts";

test("a million paths with several readings", () => {
  checkReadings({ numRuns: 1_000_000 });
});

test("thousands of side doors", async (t) => {
  const target = await openTarget(t);
  await checkParameters(target, { numRuns: 10_000 });
  await checkFields(target, { numRuns: 5_000 });
});
