// Each change that REST can make is in the audit with what was before and after; nothing in it can be guessed from a hash.
import assert from "node:assert/strict";
import test from "node:test";
import { FAKE_KEY, OTHER_FAKE_KEY, assertHides, openAdmin } from "../admin/fixture.ts";
import { openPeople } from "../admin/people.ts";

type Words = Readonly<Record<string, string>>;

/** What is done, in turn, and what the event of it says; a field that holds a time or an id: a pattern. */
const CHANGES: readonly [string, string, object | undefined, string, Words][] = [
  [
    "PUT",
    "/secrets",
    { provider: "openai", value: FAKE_KEY, label: "ada", skipTest: true },
    "secret.set",
    {
      environment: "production",
      origin: "https://api.openai.com",
      provider: "openai",
      version: "1",
    },
  ],
  [
    "PUT",
    "/secrets",
    { provider: "openai", value: OTHER_FAKE_KEY, label: "eve", skipTest: true },
    "secret.set",
    { label: "changed", version: "1 → 2" },
  ],
  ["POST", "/secrets/SECRET/rollback", {}, "secret.rollback", { version: "2 → 1" }],
  [
    "POST",
    "/agents/coder/deployments",
    { providers: ["openai"], ttlSeconds: null },
    "agent.deploy",
    { deployment: "1", environment: "production", providers: "openai" },
  ],
  ["POST", "/agents/coder/deployments", {}, "agent.deploy", { deployment: "1 → 2" }],
  [
    "PATCH",
    "/agents/coder/scope",
    { providers: ["openai", "anthropic"], limits: { openStreams: 5 } },
    "agent.scope",
    { "limits.openStreams": "no limit → 5", providers: "openai → openai, anthropic" },
  ],
  [
    "PATCH",
    "/agents/coder/scope",
    {
      allowedEndpoints: ["openai:realtime-client-secrets"],
      rules: ["POST /openai/**"],
      models: ["gpt-*"],
      addresses: ["10.0.0.0/8"],
    },
    "agent.scope",
    {
      addresses: "no limit → 10.0.0.0/8",
      allowedEndpoints: "none → openai:realtime-client-secrets",
      models: "no limit → gpt-*",
      rules: "no limit → POST /openai/**",
    },
  ],
  [
    "PATCH",
    "/agents/coder/scope",
    { providers: null, scopeExpiresAt: "2030-01-01T00:00:00Z" },
    "agent.scope",
    {
      providers: "openai, anthropic → no limit",
      scopeExpiresAt: "never → 2030-01-01T00:00:00.000Z",
    },
  ],
  [
    "PUT",
    "/providers/acme",
    { origin: "https://api.acme.test", header: "x-acme-key", scheme: "" },
    "provider.set",
    { header: "x-acme-key", origin: "https://api.acme.test", scheme: '""' },
  ],
  [
    "PUT",
    "/providers/acme",
    { origin: "https://api2.acme.test", header: "x-acme-key", scheme: "Token" },
    "provider.set",
    { origin: "https://api.acme.test → https://api2.acme.test", scheme: '"" → Token' },
  ],
  [
    "DELETE",
    "/providers/acme",
    undefined,
    "provider.delete",
    { header: "x-acme-key", origin: "https://api2.acme.test", scheme: "Token" },
  ],
  [
    "PATCH",
    "/workspace",
    { rotationDays: 30, unusedDays: 60, limits: { requestsPerMinute: 100 } },
    "workspace.change",
    {
      "limits.requestsPerMinute": "no limit → 100",
      rotationDays: "90 → 30",
      unusedDays: "no limit → 60",
    },
  ],
  [
    "POST",
    "/api-keys",
    {
      name: "deploys",
      role: "operator",
      agents: ["coder"],
      requestsPerMinute: 9,
      allowedAddresses: ["10.0.0.0/8"],
    },
    "api_key.create",
    { agents: "coder", allowedAddresses: "10.0.0.0/8", requestsPerMinute: "9", role: "operator" },
  ],
  [
    "PATCH",
    "/environments/production",
    { name: "live" },
    "environment.rename",
    { name: "production → live" },
  ],
  [
    "DELETE",
    "/agents/coder",
    undefined,
    "agent.destroy",
    {
      addresses: "10.0.0.0/8",
      allowedEndpoints: "openai:realtime-client-secrets",
      deployment: "2",
      environment: "live",
      "limits.openStreams": "5",
      models: "gpt-*",
      rules: "POST /openai/**",
      scopeExpiresAt: "2030-01-01T00:00:00.000Z",
    },
  ],
];

test("each change says in words what it changed", async (t) => {
  const { call, owner } = await openAdmin(t);
  const secretId = async () => {
    const { body } = await call("GET", "/api/v1/secrets");
    return String((body["secrets"] as { id: string }[])[0]?.id);
  };
  for (const [method, template, body, action, words] of CHANGES) {
    const path = template.replace("SECRET", template.includes("SECRET") ? await secretId() : "");
    const answer = await call(method, `/api/v1${path}`, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
    const { body: found } = await call("GET", "/api/v1/audit?limit=1");
    const [event] = found["events"] as { action: string; detail: string | null }[];
    assert.equal(event?.action, action);
    assert.deepEqual(JSON.parse(event.detail ?? "{}"), words, `${method} ${path}`);
  }
  const events = await owner<{ text: string }[]>`
    select before_hash, after_hash, e::text as text from x3sproxy.audit_events e`;
  assert.ok(events.length > CHANGES.length);
  for (const { text } of events) {
    assert.doesNotMatch(text, /[0-9a-f]{64}|wxyz/, text);
    for (const secret of [FAKE_KEY, OTHER_FAKE_KEY]) assertHides(text, secret);
  }
});

test("who may do what is told, and no word of it names the person", async (t) => {
  const { first, join, events } = await openPeople(t);
  const ada = await join("ada@example.test", "viewer", ["coder"]);
  await first.call("PATCH", `/users/${ada.id}`, { role: "operator", agents: ["coder", "helper"] });
  await first.call("PATCH", `/users/${ada.id}`, { role: "admin" });
  await first.call("POST", `/users/${ada.id}/reset`, { secondFactor: true });
  await first.call("DELETE", `/users/${ada.id}`);
  const told = (await events()).map(({ action, detail }) => [action, detail] as const);
  const of = (action: string) =>
    told
      .filter(([each]) => each === action)
      .map(([, detail]) => JSON.parse(String(detail)) as Words);
  assert.deepEqual(of("user.create").at(-1), { agents: "coder", role: "viewer" });
  assert.deepEqual(of("user.change"), [
    { agents: "coder → coder, helper", role: "viewer → operator" },
    { agents: "coder, helper → no limit", role: "operator → admin" },
  ]);
  assert.partialDeepStrictEqual(of("reset_link.create"), [{ secondFactor: "yes" }]);
  assert.partialDeepStrictEqual(of("invitation.create"), [{ agents: "coder", role: "viewer" }]);
  assert.partialDeepStrictEqual(of("user.delete"), [{ role: "admin" }]);
  for (const [, detail] of told) assert.doesNotMatch(String(detail), /@|[0-9a-f]{64}/);
});
