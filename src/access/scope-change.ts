// Changing what an agent may do: checks what is asked for, and stores it in its one spelling.
import { parseBlock } from "../addresses.ts";
import type { TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { builtInProviders } from "../providers/index.ts";
import type { AgentView } from "./agent-view.ts";
import type { Limits } from "./grant.ts";
import { canonicalRule } from "./path-rules.ts";
import type { ScopeFields } from "./scope.ts";

type Change<T> = { [Name in keyof T]?: T[Name] | undefined };

/** What is left out stays as it is. */
export interface ScopeChange extends Change<ScopeFields> {
  /** ISO 8601; null: without end. */
  scopeExpiresAt?: string | null | undefined;
  limits?: Change<Limits> | undefined;
}

// What Google, Azure, AWS and Hugging Face call models, too.
const MODEL = /^[\w.:/@*+-]{1,200}$/;

/** The same change in its one spelling. Throws RequestError 422 saying what is wrong. */
export async function checkScope(
  sql: TransactionSql,
  workspaceId: string,
  change: ScopeChange,
): Promise<ScopeChange> {
  const { providers, rules, allowedEndpoints, addresses, models } = change;
  await checkProviders(sql, workspaceId, providers ?? []);
  for (const endpoint of allowedEndpoints ?? []) {
    if (!isSensitiveEndpoint(endpoint)) {
      throw new RequestError(
        422,
        "endpoint_unknown",
        "give sensitive endpoints as <provider>:<name>, as the list of providers names them",
      );
    }
  }
  return {
    ...change,
    rules: rules && unique(rules.map(ruleOf)),
    addresses: addresses && unique(addresses.map(blockOf)),
    models: models && unique(models.map(modelOf)),
  };
}

/** Whether `change` would leave the agent with another scope or other limits. `change` in its one spelling. */
export function changesScope(agent: AgentView, change: ScopeChange): boolean {
  const { limits, scopeExpiresAt, ...lists } = change;
  const differs = (now: readonly string[] | null, then: readonly string[] | null | undefined) =>
    then !== undefined &&
    JSON.stringify(now && sorted(now)) !== JSON.stringify(then && sorted(then));
  return (
    differs(agent.providers, lists.providers) ||
    differs(agent.rules, lists.rules) ||
    differs(agent.allowedEndpoints, lists.allowedEndpoints) ||
    differs(agent.addresses, lists.addresses) ||
    differs(agent.models, lists.models) ||
    (scopeExpiresAt !== undefined && timeOf(scopeExpiresAt) !== timeOf(agent.scopeExpiresAt)) ||
    (["requestsPerMinute", "openStreams", "bytesPerMinute"] as const).some(
      (name) => limits?.[name] !== undefined && limits[name] !== agent.limits[name],
    )
  );
}

/** Stores a change that has been checked. */
export async function storeScope(
  sql: TransactionSql,
  agentId: string,
  change: ScopeChange,
): Promise<void> {
  const { providers, rules, allowedEndpoints, addresses, models, scopeExpiresAt } = change;
  const { requestsPerMinute, openStreams, bytesPerMinute } = change.limits ?? {};
  const endsAt = scopeExpiresAt == null ? null : new Date(scopeExpiresAt);
  await sql`
    update x3sproxy.agents set
      providers = case when ${providers === undefined} then providers else ${providers ?? null}::text[] end,
      rules = case when ${rules === undefined} then rules else ${rules ?? null}::text[] end,
      allowed_endpoints = coalesce(${allowedEndpoints ?? null}::text[], allowed_endpoints),
      addresses = case when ${addresses === undefined} then addresses else ${addresses ?? null}::text[] end,
      models = case when ${models === undefined} then models else ${models ?? null}::text[] end,
      scope_expires_at = case when ${scopeExpiresAt === undefined} then scope_expires_at
        else ${endsAt}::timestamptz end,
      requests_per_minute = case when ${requestsPerMinute === undefined} then requests_per_minute
        else ${requestsPerMinute ?? null}::integer end,
      open_streams = case when ${openStreams === undefined} then open_streams
        else ${openStreams ?? null}::integer end,
      bytes_per_minute = case when ${bytesPerMinute === undefined} then bytes_per_minute
        else ${bytesPerMinute ?? null}::bigint end
    where id = ${agentId}`;
}

async function checkProviders(
  sql: TransactionSql,
  workspaceId: string,
  names: readonly string[],
): Promise<void> {
  const others = names.filter((name) => !builtInProviders.has(name));
  if (others.length === 0) return;
  const rows = await sql<{ name: string }[]>`
    select name from x3sproxy.providers where workspace_id = ${workspaceId}`;
  const known = new Set(rows.map((row) => row.name));
  const stranger = others.find((name) => !known.has(name));
  if (stranger === undefined) return;
  const all = [...builtInProviders.keys(), ...known].join(", ");
  throw new RequestError(422, "provider_unknown", `no provider is called that; there are: ${all}`);
}

function isSensitiveEndpoint(text: string): boolean {
  const [provider = "", name, ...more] = text.split(":");
  const endpoints = builtInProviders.get(provider)?.sensitiveEndpoints ?? [];
  return more.length === 0 && endpoints.some((endpoint) => endpoint.name === name);
}

function ruleOf(text: string): string {
  const rule = canonicalRule(text);
  if (rule !== undefined) return rule;
  throw new RequestError(
    422,
    "rule_invalid",
    "give rules as METHOD /provider/path, as in POST /openai/v1/responses, GET /*/v1/models/** or !* /openai/v1/files/**",
  );
}

function blockOf(text: string): string {
  const block = parseBlock(text.trim());
  if (block !== undefined) return block;
  throw new RequestError(
    422,
    "address_invalid",
    "give addresses or blocks of them, as in 203.0.113.7, 10.0.0.0/8 or fd00::/8",
  );
}

function modelOf(text: string): string {
  const model = text.trim();
  if (MODEL.test(model)) return model;
  throw new RequestError(
    422,
    "model_invalid",
    "give models by name, a star for any characters, as in claude-* or gpt-5-mini",
  );
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

function sorted(texts: readonly string[]): string[] {
  return [...texts].sort();
}

function timeOf(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
