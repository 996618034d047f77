// Changes of an agent's scope: checks what is asked for and stores it in its canonical spelling. Whether the caller may do so is in
// demands.ts.
import { parseBlock } from "../platform/addresses.ts";
import type { TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { builtInProviders } from "../providers/index.ts";
import { didYouMean } from "../platform/spelling.ts";
import type { AgentView } from "./agent-view.ts";
import type { Limits } from "../limits/index.ts";
import { canonicalRule, rulePartsOf } from "../scopes/index.ts";
import type { ScopeFields } from "../scopes/index.ts";

export type Change<T> = { [Name in keyof T]?: T[Name] | undefined };

/** All of what an agent may do. */
export type AgentScope = Pick<
  AgentView,
  keyof ScopeFields | "environment" | "scopeExpiresAt" | "limits"
>;

/** What is left out stays as it is. */
export interface ScopeChange extends Change<ScopeFields> {
  /** Whose keys it uses. */
  environment?: string | undefined;
  /** ISO 8601; null: no end. */
  scopeExpiresAt?: string | null | undefined;
  limits?: Change<Limits> | undefined;
}

const ENVIRONMENT = /^[a-z0-9][a-z0-9-]{0,62}$/;
// Covers names of models at Google, Azure, AWS and Hugging Face.
const MODEL = /^[\w.:/@*+-]{1,200}$/;

/** The change in its canonical spelling. Throws RequestError 422 that says what is wrong. */
export async function checkScope(
  sql: TransactionSql,
  workspaceId: string,
  change: ScopeChange,
): Promise<ScopeChange> {
  const { environment, providers, rules, allowedEndpoints, addresses, models } = change;
  if (environment !== undefined) checkEnvironment(environment);
  const canonicalRules = rules && unique(rules.map(ruleOf));
  await refuseUnknown(sql, workspaceId, {
    providers: providers ?? [],
    inRules: (canonicalRules ?? []).map(providerOf).filter((name) => !name.includes("*")),
  });
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
    rules: canonicalRules,
    addresses: addresses && unique(addresses.map(blockOf)),
    models: models && unique(models.map(modelOf)),
  };
}

/** Throws RequestError 422 `environment_invalid`. */
export function checkEnvironment(name: string): void {
  if (ENVIRONMENT.test(name)) return;
  throw new RequestError(
    422,
    "environment_invalid",
    "name an environment with up to 63 of a-z, 0-9 and -, a letter or digit first",
  );
}

/** The scope after `change`. */
export function changedScope(scope: AgentScope, change: ScopeChange): AgentScope {
  const or = <T>(then: T | undefined, now: T): T => (then === undefined ? now : then);
  const { limits = {} } = change;
  return {
    environment: or(change.environment, scope.environment),
    providers: or(change.providers, scope.providers),
    rules: or(change.rules, scope.rules),
    allowedEndpoints: or(change.allowedEndpoints, scope.allowedEndpoints),
    addresses: or(change.addresses, scope.addresses),
    models: or(change.models, scope.models),
    scopeExpiresAt: or(change.scopeExpiresAt, scope.scopeExpiresAt),
    limits: {
      requestsPerMinute: or(limits.requestsPerMinute, scope.limits.requestsPerMinute),
      openStreams: or(limits.openStreams, scope.limits.openStreams),
      bytesPerMinute: or(limits.bytesPerMinute, scope.limits.bytesPerMinute),
    },
  };
}

/** Whether two scopes in canonical spelling allow the same. The order of lists doesn't matter. */
export function sameScope(a: AgentScope, b: AgentScope): boolean {
  return canonical(a) === canonical(b);
}

/** Stores a change that has been checked. */
export async function storeScope(
  sql: TransactionSql,
  agentId: string,
  change: ScopeChange,
): Promise<void> {
  const { providers, rules, allowedEndpoints, addresses, models, scopeExpiresAt } = change;
  const environment = change.environment ?? null;
  const { requestsPerMinute, openStreams, bytesPerMinute } = change.limits ?? {};
  const endsAt = scopeExpiresAt == null ? null : new Date(scopeExpiresAt);
  await sql`
    update x3sproxy.agents set
      environment = coalesce(${environment}, environment),
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

/** Throws RequestError 422 for a provider that doesn't exist. A rule that denies would deny nothing if its provider were misspelt. */
async function refuseUnknown(
  sql: TransactionSql,
  workspaceId: string,
  { providers, inRules }: { providers: readonly string[]; inRules: readonly string[] },
): Promise<void> {
  const isCustom = (name: string): boolean => !builtInProviders.has(name);
  if (!providers.some(isCustom) && !inRules.some(isCustom)) return;
  const rows = await sql<{ name: string }[]>`
    select name from x3sproxy.providers where workspace_id = ${workspaceId}`;
  const all = [...builtInProviders.keys(), ...rows.map(({ name }) => name)];
  for (const [names, code, sentence] of [
    [providers, "provider_unknown", "no provider is called that."],
    [inRules, "rule_invalid", "a rule names a provider that there isn't."],
  ] as const) {
    const unknown = names.find((name) => isCustom(name) && !all.includes(name));
    if (unknown === undefined) continue;
    const hint = didYouMean(unknown, all);
    throw new RequestError(422, code, `${sentence}${hint} There are: ${all.join(", ")}`);
  }
}

/** The provider of a canonical rule. */
function providerOf(rule: string): string {
  return rulePartsOf(rule)?.provider ?? "";
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

function canonical({ limits, scopeExpiresAt: endsAt, ...rest }: AgentScope): string {
  const { environment, providers, rules, allowedEndpoints, addresses, models } = rest;
  const lists = [providers, rules, allowedEndpoints, addresses, models];
  return JSON.stringify([
    environment,
    lists.map((list) => list && [...list].sort()),
    endsAt === null ? null : Date.parse(endsAt),
    [limits.requestsPerMinute, limits.openStreams, limits.bytesPerMinute],
  ]);
}
