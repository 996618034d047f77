import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { openAdmin } from "./fixture.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

test("a call of the admin side is found by its trace; a malformed one is not logged", async (t) => {
  const admin = await openAdmin(t);
  const call = async (traceparent: string): Promise<Record<string, unknown>> => {
    const before = admin.log.length;
    await admin.send("/api/v1/agents", {
      headers: { traceparent, authorization: `Bearer ${admin.apiKey}` },
    });
    const line = await eventually(() =>
      admin.log.slice(before).find((one) => one.includes("admin request")),
    );
    return JSON.parse(line) as Record<string, unknown>;
  };
  const found = await call(`00-${TRACE}-${SPAN}-01`);
  assert.deepEqual([found["traceId"], found["spanId"]], [TRACE, SPAN]);
  const none = await call(`00-${TRACE}-${SPAN}-01-CANARY`);
  assert.deepEqual([none["traceId"], none["spanId"]], [undefined, undefined]);
  assert.ok(!admin.log.join("").includes("CANARY"));
});
