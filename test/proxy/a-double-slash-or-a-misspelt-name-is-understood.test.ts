// Whoever joins a base URL and a path with a slash too many is served, and whoever misspells a provider is told which one is meant.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { builtInProviders } from "../../src/providers/index.ts";
import { providerHint } from "../../src/proxy/provider-hint.ts";
import { openTarget } from "../support/attack.ts";

test("slashes before the provider's name count for none", async (t) => {
  const { ask, sent, token, plane } = await openTarget(t, {
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test" },
    answer:
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{"id":"x"}',
  });
  const client = new OpenAI({ apiKey: token, baseURL: `${plane.url}//openai/v1`, maxRetries: 0 });
  assert.equal((await client.models.retrieve("gpt-5")).id, "x");
  assert.match(sent(), /^GET \/v1\/models\/gpt-5 HTTP\/1.1\r\n/);
  for (const [target, host, up] of [
    ["//openai/v1/models", "proxy.test", "/v1/models"],
    ["///openai/v1/models?x=1", "proxy.test", "/v1/models?x=1"],
    ["http://proxy.test//openai/v1/models", "x", "/v1/models"],
    // What stands behind the name is the provider's.
    ["//openai//v1/models", "proxy.test", "//v1/models"],
    ["//v1/models", "openai.proxy.test", "//v1/models"],
  ] as const) {
    const { status } = await ask([
      `GET ${target} HTTP/1.1`,
      `Host: ${host}`,
      `Authorization: Bearer ${token}`,
    ]);
    assert.equal(status, 200, target);
    assert.ok(sent().startsWith(`GET ${up} HTTP/1.1\r\n`), target);
  }
});

test("what is sent behind a double slash is what is judged", async (t) => {
  const { ask, sent, plane } = await openTarget(t);
  const token = await plane.deploy("narrow", { rules: ["GET /openai/v1/models"] });
  const refusalOf = async (target: string): Promise<string | undefined> => {
    const { header } = await ask([`GET ${target} HTTP/1.1`, `Authorization: Bearer ${token}`]);
    return header("x3sproxy-refusal");
  };
  assert.equal(await refusalOf("//openai/v1/files"), "path_not_allowed");
  assert.equal(await refusalOf("//openai/v1/organization"), "path_not_allowed");
  assert.equal(await refusalOf("//openai/v1/../organization"), "bad_path");
  assert.equal(await refusalOf("//evil.test/openai/v1/models"), "unknown_provider");
  assert.equal(await refusalOf("//"), "not_found");
  assert.equal(sent(), "");
  const own = await ask(["GET //_x3sproxy/token HTTP/1.1", `Authorization: Bearer ${token}`]);
  assert.equal(own.status, 200);
});

test("the refusal says which provider is meant, and echoes nothing", async (t) => {
  const { ask, sent, token } = await openTarget(t, {
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test" },
  });
  for (const [target, host, words] of [
    ["/opnai/v1/models", "proxy.test", /Is "openai" meant\?/],
    ["/OpenAI/v1/models", "proxy.test", /Is "openai" meant\?/],
    ["/antropic/v1/messages", "proxy.test", /Is "anthropic" meant\?/],
    ["/azure_openai/openai/v1/models", "proxy.test", /Is "azure-openai" meant\?/],
    ["/fla/x", "proxy.test", /Is "fal" meant\?/],
    ["/v1/models", "opnai.proxy.test", /Is "openai" meant\?/],
    ["/v1/chat/completions", "proxy.test", /put the provider's name before it/],
    ["/v1beta/models", "proxy.test", /put the provider's name before it/],
    ["/api/v1/models", "proxy.test", /put the provider's name before it/],
    ["/chat/completions", "proxy.test", /put the provider's name before it/],
    ["/quite-something-else/v1", "proxy.test", /^There is no provider of this name\. The path/],
    [
      `/${"openai".repeat(5_000)}/v1`,
      "proxy.test",
      /^There is no provider of this name\. The path/,
    ],
  ] as const) {
    const { status, header, body } = await ask([
      `GET ${target} HTTP/1.1`,
      `Host: ${host}`,
      `Authorization: Bearer ${token}`,
    ]);
    assert.equal(status, 404, target.slice(0, 40));
    assert.equal(header("x3sproxy-refusal"), "unknown_provider");
    const { error } = JSON.parse(body) as { error: { message: string } };
    assert.match(error.message, words, target.slice(0, 40));
    const first = target.split("/")[1] ?? "";
    if (!/^(?:v1|api|chat)/.test(first)) assert.equal(body.includes(first), false, body);
  }
  assert.equal(sent(), "");
});

test("each letter left out, doubled, changed or swapped is found; nothing else is taken for a name", () => {
  for (const name of builtInProviders.keys()) {
    if (name.length < 6) continue;
    for (let i = 0; i < name.length; i++) {
      const swapped = name.slice(0, i) + name.charAt(i + 1) + name.charAt(i) + name.slice(i + 2);
      for (const typed of [
        name.slice(0, i) + name.slice(i + 1),
        name.slice(0, i) + name.charAt(i) + name.slice(i),
        `${name.slice(0, i)}0${name.slice(i + 1)}`,
        swapped,
      ]) {
        assert.equal(providerHint(typed), `Is "${name}" meant? `, typed);
      }
    }
  }
  for (const typed of ["", "x", "favicon.ico", "robots.txt", "health", "metrics", "my-gateway"])
    assert.equal(providerHint(typed), "", typed);
});
