import assert from "node:assert/strict";
import { it } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import type { OpenApiDocument, Operation } from "../../src/admin/openapi.ts";
import { openAdmin } from "./fixture.ts";

async function openDocument(t: Parameters<typeof openAdmin>[0]) {
  const admin = await openAdmin(t);
  const answer = await admin.call("GET", "/api/v1/openapi.json", undefined, null);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
  return { ...admin, text: answer.text, document: JSON.parse(answer.text) as OpenApiDocument };
}

it("it is a valid OpenAPI 3.1 document, served to anybody", async (t) => {
  const { document, text } = await openDocument(t);
  assert.equal(document.openapi, "3.1.1");
  const { valid, errors } = await new Validator().validate(
    JSON.parse(text) as Record<string, unknown>,
  );
  assert.ok(valid, JSON.stringify(errors));
});

it("it has each declared route with its parameters, and no other; ids are unique; references lead somewhere", async (t) => {
  const { routes, document, text } = await openDocument(t);
  const declared = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(described.sort(), declared.sort());
  const operations = operationsOf(document);
  assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const { parameters = [] } of Object.values(methods)) {
      const inPath = parameters.filter((it) => it.in === "path").map(({ name }) => `{${name}}`);
      assert.deepEqual(inPath, path.match(/\{\w+\}/g) ?? []);
    }
  }
  for (const [, reference = ""] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    let found: unknown = document;
    for (const part of reference.split("/")) found = (found as Record<string, unknown>)[part];
    assert.ok(found !== undefined, reference);
  }
});

it("each operation says who may use it and how they prove it", async (t) => {
  const { document } = await openDocument(t);
  for (const operation of operationsOf(document)) {
    assert.match(operation.description, /(^|\n\n)For [^\n]+\.$/, operation.operationId);
    assert.equal(operation.tags.length, 1);
    assert.ok(operation.responses["default"] !== undefined);
  }
  const { paths } = document;
  const { get, put } = paths["/secrets"] ?? {};
  for (const operation of [get, put]) {
    assert.deepEqual(operation?.security, [{ apiKey: [] }, { session: [], sessionSecret: [] }]);
  }
  const { session, sessionSecret } = document.components.securitySchemes;
  assert.equal(session?.["name"], "__Host-x3sproxy-443");
  assert.deepEqual(
    [sessionSecret?.["in"], sessionSecret?.["name"]],
    ["header", "X3sproxy-Session"],
  );
  assert.deepEqual(paths["/setup"]?.["post"]?.security, []);
  assert.match(paths["/audit"]?.["get"]?.description ?? "", /For the role auditor or owner\.$/);
});

it("shared views are components; answers may get more fields, bodies may not", async (t) => {
  const { document } = await openDocument(t);
  const { schemas } = document.components;
  for (const name of ["Agent", "Secret", "Provider", "AuditEvent", "Problem"]) {
    assert.equal(schemas[name]?.type, "object", name);
    assert.notEqual(schemas[name].additionalProperties, false, name);
    assert.equal(schemas[name].$id ?? schemas[name].id, undefined);
  }
  const deploy = document.paths["/agents/{name}/deployments"]?.["post"];
  assert.equal(
    deploy?.requestBody?.content["application/json"]?.schema.additionalProperties,
    false,
  );
  const answer = deploy.responses["201"];
  assert.ok(answer !== undefined && "content" in answer);
  const { properties } = answer.content["application/json"]?.schema ?? {};
  assert.deepEqual(properties?.["agent"], { $ref: "#/components/schemas/Agent" });
  assert.partialDeepStrictEqual(deploy.parameters, [
    { name: "name", in: "path", required: true },
    { name: "Idempotency-Key", in: "header", required: false },
  ]);
  assert.partialDeepStrictEqual(document.paths["/agents"]?.["get"]?.parameters, [
    {
      name: "limit",
      in: "query",
      required: false,
      schema: { type: "integer", minimum: 1, maximum: 200, default: 100 },
    },
    { name: "cursor", in: "query", required: false, schema: { type: "string" } },
  ]);
});

function operationsOf(document: OpenApiDocument): Operation[] {
  return Object.values(document.paths).flatMap((methods) => Object.values(methods));
}
