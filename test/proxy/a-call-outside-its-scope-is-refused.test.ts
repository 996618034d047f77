// A scope limits what it names and nothing else; what it refuses, the upstream never sees.
import assert from "node:assert/strict";
import { test } from "node:test";
import { actorIn } from "../support/actor.ts";
import { openTarget, type Target } from "../support/attack.ts";
import { eventually } from "../support/eventually.ts";

const asking =
  ({ ask }: Target, token: string) =>
  async (line: string, ...fields: string[]): Promise<string | number> => {
    const answer = await ask([
      `${line} HTTP/1.1`,
      `Authorization: Bearer ${token}`,
      ...(line.startsWith("GET") ? [] : ["Content-Length: 0"]),
      ...fields,
    ]);
    return answer.header("x3sproxy-refusal") ?? answer.status;
  };

test("rules on method and path", async (t) => {
  const target = await openTarget(t, { providers: ["openai", "anthropic"] });
  const token = await target.plane.deploy("narrow", {
    rules: ["POST /openai/v1/responses", "GET /*/v1/models/**", "!* /anthropic/v1/models/secret"],
  });
  const ask = asking(target, token);
  assert.equal(await ask("POST /openai/v1/responses"), 200);
  assert.equal(await ask("POST /openai/v1/responses?stream=true"), 200);
  assert.equal(await ask("GET /openai/v1/models"), 200);
  assert.equal(await ask("GET /anthropic/v1/models/claude"), 200);
  target.sent();
  for (const line of [
    "GET /openai/v1/responses",
    "POST /openai/v1/responses/x",
    "POST /anthropic/v1/responses",
    "POST /openai/v1/chat/completions",
    "GET /anthropic/v1/models/secret",
    "GET /anthropic/v1/models/%73ecret",
    "GET /anthropic/v1//models/Secret/",
    "DELETE /openai/v1/models/x",
  ]) {
    assert.equal(await ask(line), "path_not_allowed", line);
  }
  assert.equal(target.sent(), "");
});

test("source addresses, with X-Forwarded-For from trusted proxies alone", async (t) => {
  const elsewhere = { addresses: ["203.0.113.0/24", "2001:db8::/32"] };
  const plain = await openTarget(t);
  const local = asking(plain, await plain.plane.deploy("local", { addresses: ["127.0.0.1"] }));
  assert.equal(await local("GET /openai/v1/models"), 200);
  const away = asking(plain, await plain.plane.deploy("away", elsewhere));
  plain.sent();
  assert.equal(await away("GET /openai/v1/models"), "address_not_allowed");
  assert.equal(
    await away("GET /openai/v1/models", "X-Forwarded-For: 203.0.113.7"),
    "address_not_allowed",
    "anybody can write this header",
  );
  assert.equal(
    await away("GET /_x3sproxy/token"),
    "address_not_allowed",
    "it tells nothing either",
  );
  assert.equal(plain.sent(), "");

  const behind = await openTarget(t, { env: { X3SPROXY_TRUSTED_PROXIES: "127.0.0.1" } });
  const ask = asking(behind, await behind.plane.deploy("away", elsewhere));
  const from = (text: string): Promise<string | number> =>
    ask("GET /openai/v1/models", `X-Forwarded-For: ${text}`);
  assert.equal(await from("203.0.113.7"), 200);
  assert.equal(await from("198.51.100.1, 203.0.113.7"), 200);
  assert.equal(await from("::ffff:203.0.113.7"), 200);
  assert.equal(await from("2001:db8::1"), 200);
  behind.sent();
  assert.equal(
    await from("203.0.113.7, 198.51.100.1"),
    "address_not_allowed",
    "the last one counts",
  );
  assert.equal(await from("203.0.113.7, nonsense"), "address_not_allowed");
  assert.equal(await from(""), "address_not_allowed");
  assert.equal(await ask("GET /openai/v1/models"), "address_not_allowed");
  assert.equal(behind.sent(), "");
});

test("an end of the scope, whatever the token's own", async (t) => {
  const target = await openTarget(t);
  const { plane } = target;
  const ask = asking(
    target,
    await plane.deploy("ended", { scopeExpiresAt: new Date(Date.now() - 1000).toISOString() }),
  );
  assert.equal(await ask("GET /openai/v1/models"), "scope_expired");
  assert.equal(await ask("GET /_x3sproxy/token"), "scope_expired");
  assert.equal(target.sent(), "");
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  await plane.agents.changeScope(actorIn(plane.workspaceId), "ended", { scopeExpiresAt: tomorrow });
  await eventually(async () => (await ask("GET /openai/v1/models")) === 200);
});

test("a change of the scope holds within a second, with the token that there is", async (t) => {
  const target = await openTarget(t);
  const { plane } = target;
  const ask = asking(target, await plane.deploy("coder"));
  assert.equal(await ask("GET /openai/v1/models"), 200);
  const change = (rules: string[] | null) =>
    plane.agents.changeScope(actorIn(plane.workspaceId), "coder", { rules });
  await change(["POST /openai/v1/responses"]);
  await eventually(async () => (await ask("GET /openai/v1/models")) === "path_not_allowed");
  assert.equal(await ask("POST /openai/v1/responses"), 200);
  await change(null);
  await eventually(async () => (await ask("GET /openai/v1/models")) === 200);
});

test("a refusal names the page to ask at, in the provider's own shape", async (t) => {
  const { ask, plane } = await openTarget(t, {
    providers: ["anthropic"],
    env: { X3SPROXY_DASHBOARD_URL: "https://x3s.example.test" },
  });
  const token = await plane.deploy("coder", { rules: ["POST /anthropic/v1/messages"] });
  const { status, body } = await ask(["GET /anthropic/v1/files HTTP/1.1", `X-Api-Key: ${token}`]);
  assert.equal(status, 403);
  const { type, error } = JSON.parse(body) as { type: string; error: Record<string, string> };
  assert.equal(type, "error");
  assert.equal(error["type"], "permission_error");
  assert.match(error["message"] ?? "", /https:\/\/x3s\.example\.test\/agents\/coder\/scope/);
});
