import assert from "node:assert/strict";
import { it } from "node:test";
import type { OpenApiDocument } from "../../src/admin/openapi.ts";
import { FAKE_KEY, stringAt } from "./fixture.ts";
import { openPeople } from "./people.ts";

// What only one person knows, and only once: no example of it could be accepted.
const OF_PEOPLE = ["password", "code", "token", "current", "seed"];

it("each body that the document and the reference show is accepted as it stands", async (t) => {
  const { call, join } = await openPeople(t);
  const { id: userId } = await join("grace@example.test", "viewer");
  // Of each key the examples name the third version: it waits to be activated, or was active before the fourth.
  const makeSecret = async (environment: string, isRotated: boolean) => {
    const set = (skipTest: boolean) =>
      call("PUT", "/api/v1/secrets", {
        provider: "openai",
        environment,
        value: FAKE_KEY,
        skipTest,
      });
    const id = stringAt(await set(true), "secret", "id");
    await set(true);
    const third = await set(isRotated);
    assert.equal(third.status, isRotated ? 200 : 409);
    if (isRotated) await set(true);
    return id;
  };
  const known = new Map([
    ["agents", "one"],
    ["providers", "own"],
    ["environments", "production"],
    ["users", userId],
  ]);
  await call("POST", "/api/v1/agents/one/deployments", {});
  const answered = await call("GET", "/api/v1/openapi.json", undefined, null);
  const { paths } = JSON.parse(answered.text) as OpenApiDocument;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  );
  let sent = 0;
  // What is made by one example is deleted by another.
  for (const { path, method, requestBody } of operations.toSorted(
    (a, b) => Number(a.method === "delete") - Number(b.method === "delete"),
  )) {
    const { schema, example } = requestBody?.content["application/json"] ?? {};
    if (schema === undefined) continue;
    const { required = [] } = schema;
    if (example === undefined) {
      const isOfPeople = required.some((field) => OF_PEOPLE.includes(field));
      assert.ok(required.length === 0 || isOfPeople, `${method} ${path} has no example`);
      continue;
    }
    if (path.startsWith("/secrets/"))
      known.set("secrets", await makeSecret(`for-${sent}`, path.endsWith("/rollback")));
    const filled = path.replace(/([a-z-]+)\/\{\w+\}/g, (_, part: string) => {
      const name = known.get(part);
      assert.ok(name !== undefined, `${path}: nothing is known of ${part}`);
      return `${part}/${name}`;
    });
    const answer = await call(method.toUpperCase(), `/api/v1${filled}`, example);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
    if (path === "/workspaces") known.set("workspaces", stringAt(answer, "workspace", "id"));
    if (path === "/environments/{name}") known.set("environments", "staging");
    sent += 1;
  }
  assert.ok(sent >= 15, String(sent));
});
