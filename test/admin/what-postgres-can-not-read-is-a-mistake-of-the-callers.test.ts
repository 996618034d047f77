import assert from "node:assert/strict";
import { test } from "node:test";
import { openAdmin } from "./fixture.ts";

const cursor = (...of: unknown[]): string => Buffer.from(JSON.stringify(of)).toString("base64url");

test("a text with U+0000, and a time that Postgres doesn't know, are 422", async (t) => {
  const admin = await openAdmin(t);
  const times = [
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
  ];
  for (const path of [
    ...["audit", "audit/export", "activity", "contexts"].flatMap((list) =>
      times.flatMap((time) => [`${list}?from=${time}`, `${list}?to=${time}`]),
    ),
    ...["audit?actor=%00", "audit?action=a%00", "audit?target=%00", "activity?agent=%00"],
    ...["secrets?query=a%00", "agents?query=%00", "agents?mayUse=%00", "activity?provider=%00"],
    `activity?cursor=${cursor("activity", ["2026-01-01T00:00:00.000Z", "a\0", "b"])}`,
    `activity?cursor=${cursor("activity", ["0000-01-01T00:00:00.000Z", "a", "b"])}`,
    `workspaces?cursor=${cursor("workspaces", ["\0"])}`,
  ]) {
    const { status, text } = await admin.call("GET", `/api/v1/${path}`);
    assert.equal(status, 422, `${path}: ${text}`);
  }
  const { status, text } = await admin.call("GET", "/api/v1/audit?from=0001-01-01T00:00:00Z");
  assert.equal(status, 200, text);
});
