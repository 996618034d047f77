import assert from "node:assert/strict";
import { test } from "node:test";
import { readTraceparent } from "../../src/platform/trace.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

test("of version 00, ids are read", () => {
  for (const flags of ["00", "01", "ff"]) {
    const read = readTraceparent(`00-${TRACE}-${SPAN}-${flags}`);
    assert.deepEqual(read, { traceId: TRACE, spanId: SPAN });
  }
});

test("anything else is not", () => {
  for (const value of [
    undefined,
    ["00"],
    "",
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-0`,
    `00-${TRACE}-${SPAN}-01-`,
    `00-${TRACE}-${SPAN}-01-more`,
    ` 00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01\n`,
    `01-${TRACE}-${SPAN}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN.toUpperCase()}-01`,
    `00-${TRACE}-${SPAN}-0A`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${TRACE}g-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    `00_${TRACE}_${SPAN}_01`,
  ]) {
    assert.equal(readTraceparent(value), undefined, String(value));
  }
});
