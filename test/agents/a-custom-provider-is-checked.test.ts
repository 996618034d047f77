import assert from "node:assert/strict";
import { test } from "node:test";
import { builtInProviders } from "../../src/providers/index.ts";
import { createHouse } from "../grants/house.ts";
import { actorIn } from "../support/actor.ts";

const GOOD = {
  name: "in-house",
  origin: "https://llm.example.com",
  header: "authorization",
  scheme: "Bearer",
};
const FRAMING = [
  "host",
  "content-length",
  "Transfer-Encoding",
  "connection",
  "Keep-Alive",
  "proxy-connection",
  "proxy-authorization",
  "te",
  "trailer",
  "upgrade",
  "expect",
  "content-type",
  "content-encoding",
  "sec-websocket-protocol",
  "x3sproxy-refusal",
];
const WRONG: [code: string, Partial<typeof GOOD>[]][] = [
  [
    "provider_name_invalid",
    ["", "A", "a_b", "_x3sproxy", "a/b", "..", "a".repeat(64), "a\n"].map((name) => ({ name })),
  ],
  ["provider_name_taken", ["api", ...builtInProviders.keys()].map((name) => ({ name }))],
  [
    "origin_invalid",
    [
      "",
      "llm.example.com",
      "https://a.example/path",
      "https://user@a.example",
      "https://a.example#evil",
      "https://a.example?x",
      "ftp://a.example",
      "javascript:alert(1)",
    ].map((origin) => ({ origin })),
  ],
  ["origin_refused", [{ origin: "http://llm.example.com" }]],
  [
    "header_invalid",
    ["", "a b", "x:y", "x\r\ny", "ä", "x".repeat(65)].map((header) => ({ header })),
  ],
  ["header_refused", FRAMING.map((header) => ({ header }))],
  ["scheme_invalid", ["a b", "Bearer\r\n", "ä", " "].map((scheme) => ({ scheme }))],
];

test("each mistake has its code, and nothing is stored", async (t) => {
  const { customProviders, workspaceId } = await createHouse(t);
  for (const [code, requests] of WRONG) {
    for (const request of requests) {
      await assert.rejects(
        customProviders.put(actorIn(workspaceId), { ...GOOD, ...request }),
        { name: "RequestError", status: 422, code },
        JSON.stringify(request),
      );
    }
  }
  assert.deepEqual(await customProviders.list(workspaceId), []);
});

test("it is put, replaced, listed and deleted in its own workspace", async (t) => {
  const { customProviders, agents, workspaceId, addWorkspace } = await createHouse(t);
  const other = await addWorkspace("other");
  const { createdAt, ...stored } = await customProviders.put(actorIn(workspaceId), {
    ...GOOD,
    origin: "HTTPS://LLM.example.com:443/",
    header: "X-Api-Key",
    scheme: "",
  });
  assert.deepEqual(stored, { ...GOOD, header: "x-api-key", scheme: "" });
  const kept = await customProviders.put(actorIn(other), GOOD);
  assert.deepEqual(await customProviders.put(actorIn(workspaceId), GOOD), { ...GOOD, createdAt });
  assert.deepEqual(await customProviders.list(workspaceId), [{ ...GOOD, createdAt }]);
  const { agent } = await agents.deploy(actorIn(workspaceId), {
    name: "a",
    providers: ["in-house"],
  });
  assert.deepEqual(agent.providers, ["in-house"]);
  await customProviders.delete(actorIn(workspaceId), "in-house");
  await assert.rejects(customProviders.delete(actorIn(workspaceId), "in-house"), {
    status: 404,
    code: "provider_not_found",
  });
  assert.deepEqual(await customProviders.list(other), [kept]);
});
