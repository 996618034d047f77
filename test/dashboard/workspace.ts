// A workspace for the dashboard's tests, filled through the REST API: something of everything, with names as long as they
// may be; and what only time brings, put in beside it.
import assert from "node:assert/strict";
import { withOwner } from "../../src/db/connection.ts";
import { insertMinute } from "../support/activity.ts";

export const OWNER = {
  email: "owner@example.test",
  password: "a FAKE passphrase of the owner, 7Kd",
};
const LONG_NAME = `a-name-as-long-as-names-may-be-${"x".repeat(63 - 31)}`;
const LONG_EMAIL = `somebody${".with-a-long-name".repeat(3)}@${"a-long-domain.".repeat(8)}test`;
/** Something in every part of a scope, much of it long. */
const SCOPE = {
  providers: ["openai", "anthropic", "gemini", "mistral", "groq"],
  rules: [
    "POST /openai/v1/responses",
    `GET /openai/v1/${"a-segment-without-end".repeat(10)}/**`,
    ...Array.from({ length: 30 }, (_, at) => `!* /anthropic/v1/part-${at}/**`),
  ],
  allowedEndpoints: ["openai:realtime-client-secrets"],
  addresses: ["10.0.0.0/8", "2001:db8:1234:5678:9abc:def0:1234:0/112"],
  models: ["claude-*", `ft:gpt-5-${"m".repeat(180)}`],
  scopeExpiresAt: new Date(Date.now() + 2 * 86_400_000).toISOString(),
  limits: { requestsPerMinute: 60, openStreams: 8, bytesPerMinute: 50_000_000 },
};
/** As long as one may be. */
const CONTEXT = { user: "somebody@example.test", "run-id": "f".repeat(200) };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

interface Place {
  readonly adminUrl: string;
  readonly apiKey: string;
  /** The superuser's. */
  readonly ownerUrl: string;
}

/** Gives a secret's id and an agent's name, each with much to show. */
export async function fillWorkspace(place: Place): Promise<{ id: string; name: string }> {
  const { openai } = await saveKeys(place);
  await send(place, "PUT", "/providers/gateway", { origin: "https://llm.example.test" });
  for (const [agent, body] of [
    ["summaries", SCOPE],
    ["idle-agent", { environment: "staging", ttlSeconds: 86_400 }],
    [LONG_NAME, { providers: ["openai", "anthropic", "gemini", "mistral", "groq"] }],
  ] as const) {
    await send(place, "POST", `/agents/${agent}/deployments`, body);
  }
  await send(place, "POST", "/agents/idle-agent/suspend", undefined);
  await send(place, "POST", "/agents/summaries/registrations", { expiresInSeconds: 600 });
  await invitePeople(place);
  await send(place, "POST", "/api-keys", {
    name: `pipeline ${"of a team ".repeat(9)}`.trim(),
    role: "operator",
    agents: ["summaries"],
    expiresInSeconds: 86_400,
    allowedAddresses: ["10.0.0.0/8", "2001:db8:1234:5678:9abc:def0:1234:0/112"],
    requestsPerMinute: 60,
  });
  await letTimePass(place, openai);
  await send(place, "POST", "/workspace/suspend", undefined);
  return { id: openai, name: "summaries" };
}

async function saveKeys(place: Place): Promise<{ openai: string }> {
  const save = (provider: string, environment: string, value: string, label = "") =>
    send(place, "PUT", "/secrets", {
      ...{ provider, environment, value, label, skipTest: true },
    });
  await save("openai", "production", "sk-proj-FAKE-of-the-dashboards-tests-1111", "first account");
  const saved = await save("openai", "production", "sk-proj-FAKE-of-the-dashboards-tests-2222");
  await save("openai", "staging", "sk-proj-FAKE-of-the-dashboards-tests-3333", "l".repeat(200));
  await save("anthropic", LONG_NAME, "sk-ant-api03-FAKE-of-the-dashboards-tests-4444");
  return { openai: (saved["secret"] as { id: string }).id };
}

async function invitePeople(place: Place): Promise<void> {
  const invite = async (email: string, rights: object) => {
    const { url } = await send(place, "POST", "/invitations", { email, ...rights });
    return String(url).replace(/^.*#token=/, "");
  };
  await invite("invited@example.test", { role: "auditor" });
  for (const [email, rights] of [
    [LONG_EMAIL, { role: "viewer", agents: ["summaries", "idle-agent"] }],
    ["admin@example.test", { role: "admin" }],
  ] as const) {
    const token = await invite(email, rights);
    const body = { token, password: "a FAKE passphrase of somebody else, 4Hp" };
    await send({ ...place, apiKey: "" }, "POST", "/invitations/accept", body);
  }
}

/** Exchanges of the last day, a key in use that is refused, one due for rotation. */
async function letTimePass({ ownerUrl }: Place, secretId: string): Promise<void> {
  await withOwner(ownerUrl, async (sql) => {
    const [workspace] = await sql<{ id: string }[]>`select id from x3sproxy.workspaces`;
    assert.ok(workspace !== undefined);
    const workspaceId = workspace.id;
    for (let at = 1; at <= 12; at++) {
      await insertMinute(sql, {
        ...{ workspaceId, atMs: Date.now() - at * 61 * MINUTE_MS, agent: "summaries" },
        ...{ requests: 12_345 * at, errors: at, status5xx: at, refusals: at % 3, open: at },
      });
    }
    const long = { workspaceId, atMs: Date.now() - MINUTE_MS, agent: LONG_NAME };
    await insertMinute(sql, { ...long, provider: "", requests: 3, refusals: 3 });
    for (const [version, agent] of [
      [1, "summaries"],
      [2, "summaries"],
      [2, LONG_NAME],
    ] as const) {
      await sql`
        insert into x3sproxy.activity_versions
        values (${workspaceId}, ${secretId}, ${version}, ${agent}, now() - interval '2 days', now(), 1234567)`;
    }
    await sql`
      update x3sproxy.activity_versions set refused_401 = 60, refused_429 = 4, refused_at = now(),
        refused_since = now() - interval '3 hours'
      where version = 2`;
    await sql`
      insert into x3sproxy.activity_contexts (workspace_id, minute, agent, provider, context, requests)
      select workspace_id, minute, agent, provider, ${sql.json(CONTEXT)}, requests
      from x3sproxy.activity_minutes where agent = 'summaries'`;
    await sql`
      insert into x3sproxy.agent_first_uses
      select ${workspaceId}, id, 'path', ${`GET /openai/v1/${"part/".repeat(35)}`}, now(), null, true
      from x3sproxy.agents where name = 'summaries'`;
    await sql`
      update x3sproxy.secret_versions set created_at = ${new Date(Date.now() - 400 * DAY_MS)}
      where secret_id <> ${secretId}`;
  });
}

/** Fails unless the answer is a success; gives its body. */
export async function send(
  { adminUrl, apiKey }: Pick<Place, "adminUrl" | "apiKey">,
  method: string,
  path: string,
  body: unknown,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${adminUrl}/api/v1${path}`, {
    method,
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(apiKey !== "" && { authorization: `Bearer ${apiKey}` }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}
