import assert from "node:assert/strict";
import { it } from "node:test";
import type { JsonSchema, OpenApiDocument } from "../../src/admin/openapi.ts";
import { openAdmin } from "./fixture.ts";

// What is only hashed or sealed: any text will do.
const ANY_TEXT = new Set(["password", "current", "code", "token", "value"]);

it("no text of a request is without a bound, and none that Postgres gets may have U+0000 in it", async (t) => {
  const { call } = await openAdmin(t);
  const { text } = await call("GET", "/api/v1/openapi.json", undefined, null);
  const { paths } = JSON.parse(text) as OpenApiDocument;
  let texts = 0;
  for (const methods of Object.values(paths)) {
    for (const { operationId, parameters = [], requestBody } of Object.values(methods)) {
      // A path's parameter has at most 100 characters: the router sees to that.
      const query = parameters.filter((each) => each.in !== "path");
      const body = requestBody?.content["application/json"]?.schema;
      const found = [
        ...query.flatMap(({ name, schema }) => textsOf(schema, name)),
        ...(body === undefined ? [] : textsOf(body, "")),
      ];
      for (const [name, { format, pattern, maxLength }] of found) {
        texts += 1;
        const where = `${operationId} ${name}`;
        const isBounded = maxLength !== undefined || format !== undefined;
        assert.ok(isBounded || /\{\d*,?\d+\}/.test(pattern ?? ""), `${where} has no end`);
        if (ANY_TEXT.has(name) || name === "cursor" || format !== undefined) continue;
        assert.ok(pattern !== undefined, `${where} may be anything`);
        // Readable without a flag, and by others than JavaScript.
        assert.doesNotMatch(pattern, /\\[pP]\{|\\u\{/);
        assert.doesNotMatch("a\0b", new RegExp(pattern), where);
      }
    }
  }
  assert.ok(texts > 40, String(texts));
});

it("a text that can't be is refused by its field's name", async (t) => {
  const { call } = await openAdmin(t);
  for (const [path, field] of [
    ["audit?actor=%00", "actor"],
    ["audit?action=a%00", "action"],
    ["audit/export?target=%00", "target"],
    ["activity?agent=%00", "agent"],
    ["activity?provider=a%00b", "provider"],
    ["contexts?agent=%00", "agent"],
    ["contexts?from=0000-01-01T00:00:00Z", "from"],
    ["audit?to=9999-12-31T23:59:59-14:00", "to"],
  ] as const) {
    const { status, text, body } = await call("GET", `/api/v1/${path}`);
    assert.equal(status, 422, text);
    assert.match(String(body["detail"]), new RegExp(`^${field}: give `), path);
  }
  await call("POST", "/api/v1/agents/one/deployments", {});
  for (const scopeExpiresAt of ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]) {
    const { status, body } = await call("PATCH", "/api/v1/agents/one/scope", { scopeExpiresAt });
    assert.equal(status, 422);
    assert.match(String(body["detail"]), /^scopeExpiresAt: /);
  }
});

it("a cursor with a text that Postgres can't read is none of ours", async (t) => {
  const { call } = await openAdmin(t);
  for (const [path, ...content] of [
    ["users", "users", ["a\0"]],
    ["workspaces", "workspaces", ["\ud800"]],
    ["api-keys", "api-keys", ["\0", "00000000-0000-4000-8000-000000000000"]],
    ["activity", "activity", ["2026-01-01T00:00:00.000Z", "a\0", "b"]],
  ] as const) {
    const cursor = Buffer.from(JSON.stringify(content)).toString("base64url");
    const { status, body } = await call("GET", `/api/v1/${path}?cursor=${cursor}`);
    assert.deepEqual([status, body["code"]], [422, "cursor_invalid"], path);
  }
});

it("null is a body, and none of any route's", async (t) => {
  const { send, apiKey, call } = await openAdmin(t);
  await call("POST", "/api/v1/agents/one/deployments", {});
  for (const [method, path] of [
    ["POST", "agents/one/deployments"],
    ["POST", "agents/one/registrations"],
    ["PATCH", "agents/one/scope"],
    ["PATCH", "workspace"],
    ["POST", "master-keys/rotation"],
  ] as const) {
    const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
    const { status, text } = await send(`/api/v1/${path}`, { method, headers, body: "null" });
    assert.equal(status, 422, `${path}: ${text}`);
  }
  // Without a body all fields are absent.
  const { status } = await call("POST", "/api/v1/agents/one/registrations");
  assert.equal(status, 201);
});

function textsOf(schema: JsonSchema, name: string): [string, JsonSchema][] {
  const { type, anyOf = [], items, properties = {}, enum: values, const: only } = schema;
  return [
    ...(type === "string" && values === undefined && only === undefined
      ? [[name, schema] as [string, JsonSchema]]
      : []),
    ...anyOf.flatMap((each) => textsOf(each, name)),
    ...(items === undefined ? [] : textsOf(items as JsonSchema, name)),
    ...Object.entries(properties).flatMap(([field, each]) => textsOf(each as JsonSchema, field)),
  ];
}
