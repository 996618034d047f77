import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY, PUBLIC_URL, openAdmin } from "./fixture.ts";

it("a custom provider is added, takes a key, is offered to agents, and is removed", async (t) => {
  const { call } = await openAdmin(t);
  const added = await call("PUT", "/api/v1/providers/acme", {
    origin: "https://api.acme.example",
    header: "X-Acme-Key",
    scheme: "",
  });
  assert.equal(added.status, 200, added.text);
  const acme = {
    name: "acme",
    origin: "https://api.acme.example",
    header: "x-acme-key",
    scheme: "",
  };
  assert.partialDeepStrictEqual(added.body, { provider: acme });
  const key = await call("PUT", "/api/v1/secrets", { provider: "acme", value: FAKE_KEY });
  assert.equal(key.status, 201, key.text);

  const list = await call("GET", "/api/v1/providers");
  assert.partialDeepStrictEqual(list.body, {
    providers: [
      { name: "mistral", kind: "built-in", origin: "https://gateway.example.test" },
      { ...acme, kind: "custom", baseUrl: `${PUBLIC_URL}/acme`, environments: ["production"] },
    ],
  });
  const deployed = await call("POST", "/api/v1/agents/coder/deployments", {});
  assert.partialDeepStrictEqual(deployed.body, { baseUrls: { acme: `${PUBLIC_URL}/acme` } });

  assert.equal((await call("DELETE", "/api/v1/providers/acme")).status, 204);
  assert.equal((await call("DELETE", "/api/v1/providers/acme")).status, 404);
});

it("a built-in name, a forbidden header and a refused origin are refused", async (t) => {
  const { call } = await openAdmin(t);
  const origin = "https://api.acme.example";
  for (const [name, body] of [
    ["openai", { origin }],
    ["acme", { origin, header: "host" }],
    ["acme", { origin: "http://10.0.0.1" }],
    ["acme", { origin: "https://api.acme.example/path" }],
    ["acme", {}],
  ] as const) {
    const answer = await call("PUT", `/api/v1/providers/${name}`, body);
    assert.equal(answer.status, 422, answer.text);
  }
});
