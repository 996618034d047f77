// `npm run demo -- --fill`: a workspace as one looks that has been in use for a week, to try pages and commands on. Keys, agents and
// changes come through the API, as people make them; only what time brings is put in beside it. All keys are fakes.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { withOwner } from "../src/db/connection.ts";
import type { Sql } from "../src/db/index.ts";
import { builtInProviders } from "../src/providers/index.ts";

const SECRETS = 60;
const AGENTS = 200;
const AT_ONCE = 4;
const ENVIRONMENTS = ["production", "staging", "development", "evaluation"] as const;
const TEAMS = ["support", "billing", "search", "research", "documents", "sales"] as const;
const JOBS = [
  "summaries",
  "triage",
  "answers",
  "drafts",
  "extraction",
  "review",
  "nightly",
] as const;
/** Those whose customers have an origin each. */
const ORIGINS: Readonly<Record<string, string>> = {
  "azure-openai": "https://fake-resource.openai.azure.com",
  bedrock: "https://bedrock-runtime.us-east-1.amazonaws.com",
};

interface Place {
  readonly adminUrl: string;
  readonly proxyUrl: string;
  readonly dataDir: string;
  readonly ownerUrl: string;
  /** What the look-alike of OpenAI takes. */
  readonly openaiKey: string;
}

type Api = (method: string, path: string, body?: object) => Promise<Record<string, unknown>>;

/** Gives how many of each it has made. Throws what the API refuses. */
export async function fill(place: Place): Promise<{ secrets: number; agents: number }> {
  const apiKey = (await readFile(join(place.dataDir, "admin-api-key"), "utf8")).trim();
  const api: Api = async (method, path, body) => {
    const response = await fetch(`${place.adminUrl}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
  await addSecrets(api, place.openaiKey);
  const tokens = await addAgents(api);
  await changeSome(api);
  await callSome(place.proxyUrl, tokens);
  await withOwner(place.ownerUrl, letAWeekPass);
  return { secrets: SECRETS, agents: AGENTS };
}

async function addSecrets(api: Api, openaiKey: string): Promise<void> {
  const places = ENVIRONMENTS.flatMap((environment) =>
    [...builtInProviders.keys()].map((provider) => ({ provider, environment })),
  ).slice(0, SECRETS);
  await each(places, async ({ provider, environment }) => {
    const origin = ORIGINS[provider];
    await api("PUT", "/secrets", {
      ...{ provider, environment, label: `${environment} account`, skipTest: true },
      value: provider === "openai" ? openaiKey : `FAKE-key-of-the-demo-${provider}-${environment}`,
      ...(origin !== undefined && { origin }),
    });
  });
}

/** Gives the tokens of those that may call OpenAI's look-alike. */
async function addAgents(api: Api): Promise<string[]> {
  const tokens: string[] = [];
  await each(range(AGENTS), async (n) => {
    const name = `${pick(TEAMS, n)}-${pick(JOBS, n)}-${String(n + 1).padStart(3, "0")}`;
    const environment = pick(ENVIRONMENTS, n);
    const { token } = await api("POST", `/agents/${name}/deployments`, {
      environment,
      ...(n % 3 === 0 && { providers: ["openai", "anthropic"] }),
      ...(n % 7 === 0 && { limits: { requestsPerMinute: 600 } }),
      ...(n % 11 === 0 && { ttlSeconds: 7 * 86_400 }),
    });
    if (environment !== "evaluation") tokens.push(String(token));
    if (n % 25 === 24) await api("POST", `/agents/${name}/suspend`);
  });
  return tokens;
}

/** So that secrets have versions, and the audit has more than beginnings. */
async function changeSome(api: Api): Promise<void> {
  for (const provider of ["anthropic", "gemini", "mistral"]) {
    const value = `FAKE-second-key-of-the-demo-${provider}`;
    await api("PUT", "/secrets", { provider, value, skipTest: true });
  }
  await api("PUT", "/providers/company-gateway", { origin: "https://llm.example.com" });
  await api("PATCH", "/workspace", { idleDays: 3 });
}

async function callSome(proxyUrl: string, tokens: readonly string[]): Promise<void> {
  await each(tokens.slice(0, 40), async (token, at) => {
    // Some ask for what isn't there.
    const path = at % 8 === 7 ? "/nowhere/v1/models" : "/openai/v1/models";
    const response = await fetch(proxyUrl + path, {
      headers: { authorization: `Bearer ${token}` },
    });
    await response.arrayBuffer();
  });
}

async function letAWeekPass(sql: Sql): Promise<void> {
  await sql`
    insert into x3sproxy.activity_minutes
    select a.workspace_id, date_trunc('minute', now() - quarter * interval '15 minutes'), a.name, provider, calls, calls - bad, 0, bad - errors,
      errors, errors, errors, refusals, 0, calls * 900, calls * 7000, calls, calls * 420, calls, calls * 2600, 1 + calls / 40
    from (select *, row_number() over (order by name) as n from x3sproxy.agents) a,
      generate_series(1, 671) quarter, unnest(array['openai', 'anthropic']) provider,
      lateral (select (5 + 15 * (1 + sin(quarter / 96.0 * 2 * pi())) * random())::int as calls) c,
      lateral (select (calls * 0.03 * random())::int as bad, (random() * 1.2)::int as refusals) b,
      lateral (select (bad * 0.5)::int as errors) e
    where n % 4 = 0
    on conflict do nothing`;
  await sql`
    insert into x3sproxy.activity_agents
    select workspace_id, id, 'openai', deployments, now() - random() * interval '2 days' from x3sproxy.agents
    where random() < 0.7 on conflict do nothing`;
  await sql`
    insert into x3sproxy.activity_versions
    select s.workspace_id, s.id, s.active_version, a.name, now() - interval '5 days', now() - random() * interval '1 day', 1 + (random() * 5000)::int
    from x3sproxy.secrets s join x3sproxy.agents a on a.workspace_id = s.workspace_id and a.environment = s.environment
    where s.provider in ('openai', 'anthropic', 'gemini') and random() < 0.3
    on conflict do nothing`;
  await sql`
    update x3sproxy.secret_versions v set created_at = now() - random() * interval '95 days'
    from x3sproxy.secrets s where s.id = v.secret_id and v.version = s.active_version and random() < 0.8`;
  await sql`
    insert into x3sproxy.audit_events
      (workspace_id, created_at, actor_kind, actor_name, address, method, action, target_kind, target_id, target_name, result)
    select a.workspace_id, now() - (300 - n) * interval '33 minutes', 'api_key', 'pipeline', '192.0.2.7', 'api_key',
      (array['agent.deploy', 'agent.suspend', 'agent.resume', 'agent.scope'])[1 + n % 4], 'agent', a.id::text, a.name, 'done'
    from (select *, row_number() over (order by name) as at from x3sproxy.agents) a join generate_series(1, 300) n on a.at = 1 + n % 200
    order by n`;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}

function pick<T>(of: readonly T[], at: number): T {
  return of[at % of.length] as T;
}

/** A few at once; stops at the first that fails. */
async function each<T>(
  all: readonly T[],
  work: (item: T, at: number) => Promise<void>,
): Promise<void> {
  const waiting = all.entries();
  await Promise.all(
    range(AT_ONCE).map(async () => {
      for (const [at, item] of waiting) await work(item, at);
    }),
  );
}
