import assert from "node:assert/strict";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createCannedUpstream, head, openWireClient } from "../support/wire.ts";

// Each of them against each of the fields would be 16 million comparisons, and half a minute in which nobody else is served.
const FIELDS = 4000;
const MOST_MS = 3000;

test("an answer whose Connection names thousands of fields, beside thousands of others, costs little", async (t) => {
  const names = Array.from({ length: FIELDS }, (_, i) => `a${i.toString(36)}`);
  const answer =
    `HTTP/1.1 200 OK\r\nconnection: ${names.map((name) => `${name}z`).join(",")}, gone\r\n` +
    names.map((name) => `${name}:\r\n`).join("") +
    "gone: 1\r\ncontent-length: 2\r\n\r\nok";
  const upstream = await createCannedUpstream(answer);
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  const beganMs = performance.now();
  client.send(head(plane.token, "/openai/v1/models"));
  const { body, headers } = await client.answer();
  const tookMs = performance.now() - beganMs;
  assert.equal(body, "ok");
  assert.equal(
    headers.some(([name]) => name === "gone"),
    false,
  );
  assert.ok(tookMs < MOST_MS, `${Math.round(tookMs)} ms`);
});
