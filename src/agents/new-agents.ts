// New agents: what an agent may do at most if whoever makes it may not widen a scope. Two bounds apply: the workspace's, and the scope of a
// destroyed agent of the same name. Must never change the scope of an existing agent.
import { record, type Actor } from "../audit/index.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { scopeOf, type AgentView, type ScopeRow } from "./agent-view.ts";
import { demand, partsBeyond, type Rights, type ScopeBounds } from "./demands.ts";
import {
  changedScope,
  checkEnvironment,
  checkScope,
  type AgentScope,
  type Change,
  type ScopeChange,
} from "./scope-change.ts";

/** What a workspace gives new agents. Sensitive endpoints and the end of a scope are set for each agent alone. */
export type NewAgentScope = Omit<ScopeBounds, "allowedEndpoints" | "scopeExpiresAt">;

/** What is left out stays as it is. */
export type NewAgentChange = Pick<
  ScopeChange,
  "providers" | "rules" | "addresses" | "models" | "limits"
> &
  Change<Pick<NewAgentScope, "environments">>;

export interface NewAgents {
  get(workspaceId: string): Promise<NewAgentScope>;
  /** Changes it for agents that are made from now on. Recorded in the audit. Throws RequestError 422 that says what is wrong. */
  change(by: Actor, change: NewAgentChange): Promise<NewAgentScope>;
}

/** In the column `agent`: the row is the workspace's own. No agent has this name. */
const ANY_AGENT = "";
const DEFAULT_ENVIRONMENT = "production";
// This holds only callers that are limited to the name; others can take another name at once. So a year is long enough.
const REMEMBERED_DAYS = 365;
/** How many expired rows are deleted with each that is added. */
const MAX_FORGOTTEN = 100;

/** How messages name the parts of a scope. */
const PART_NAMES: Readonly<Record<string, string>> = {
  allowedEndpoints: "sensitive endpoints",
  scopeExpiresAt: "end of the scope",
  requestsPerMinute: "requests a minute",
  openStreams: "open streams",
  bytesPerMinute: "bytes a minute",
};

/** `pool`: the control role's. */
export function createNewAgents({ pool }: { pool: Pool }): NewAgents {
  return {
    get: (workspaceId) =>
      pool.inWorkspace(workspaceId, async (sql) => shown(await ofWorkspace(sql, workspaceId))),

    change: (by, asked) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const { workspaceId } = by;
        const { environments, ...rest } = asked;
        for (const name of environments ?? []) checkEnvironment(name);
        const change = await checkScope(sql, workspaceId, rest);
        // Locks the workspace, so that two changes wait for each other: the bounds may have no row yet.
        const [workspace] = await sql<{ name: string }[]>`
          select name from x3sproxy.workspaces where id = ${workspaceId} for no key update`;
        if (workspace === undefined) throw new Error("the workspace is missing");
        const before = await ofWorkspace(sql, workspaceId);
        const after: ScopeBounds = {
          ...changedScope(defaultScope(before), change),
          environments:
            environments === undefined ? before.environments : environments && unique(environments),
        };
        await store(sql, workspaceId, ANY_AGENT, after);
        await record(sql, by, {
          action: "workspace.change",
          target: { kind: "workspace", id: workspaceId, name: workspace.name },
          before: { newAgents: shown(before) },
          after: { newAgents: shown(after) },
        });
        return shown(after);
      }),
  };
}

/**
 * The scope of a new agent. What `change` leaves out is taken from the workspace, or from the destroyed agent of this name where that is
 * narrower. Throws RequestError 403 if the scope exceeds either and `rights` don't allow it. A destroyed agent's scope doesn't bind whoever
 * has the role.
 */
export async function scopeOfNew(
  sql: TransactionSql,
  workspaceId: string,
  { name, change, rights }: { name: string; change: ScopeChange; rights: Rights },
): Promise<AgentScope> {
  const ofAll = await ofWorkspace(sql, workspaceId);
  const before = rights.hasRole ? undefined : await read(sql, workspaceId, name);
  const scope = changedScope(
    before === undefined ? defaultScope(ofAll) : narrower(ofAll, before),
    change,
  );
  demandForParts(partsBeyond(ofAll, scope), rights, "this workspace gives new agents");
  if (before !== undefined) {
    demandForParts(
      partsBeyond(before, scope),
      rights,
      `the agent had that was destroyed as ${name}`,
    );
  }
  return scope;
}

/** Remembers for a year, by the agent's name, what a destroyed agent could do. */
export async function rememberScope(
  sql: TransactionSql,
  workspaceId: string,
  { name, environment, ...scope }: AgentView,
): Promise<void> {
  await store(sql, workspaceId, name, { ...scope, environments: [environment] });
  await sql`
    delete from x3sproxy.new_agent_scopes
    where workspace_id = ${workspaceId} and agent = any (array(
      select agent from x3sproxy.new_agent_scopes
      where workspace_id = ${workspaceId} and agent <> ${ANY_AGENT}
        and set_at < now() - ${REMEMBERED_DAYS}::integer * interval '1 day'
      order by set_at limit ${MAX_FORGOTTEN} for update skip locked))`;
}

/** Forgets that, when an agent of the name has been made. */
export async function forgetScope(
  sql: TransactionSql,
  workspaceId: string,
  name: string,
): Promise<void> {
  await sql`
    delete from x3sproxy.new_agent_scopes where workspace_id = ${workspaceId} and agent = ${name}`;
}

function demandForParts(beyond: readonly string[], rights: Rights, whose: string): void {
  if (beyond.length === 0) return;
  const parts = beyond.map((part) => PART_NAMES[part] ?? part).join(", ");
  demand(rights, `This would give the agent more than ${whose}: ${parts}. Deploy it with less.`);
}

/** The scope of an agent for which nothing was asked. */
function defaultScope({ environments, ...scope }: ScopeBounds): AgentScope {
  const environment =
    environments?.includes(DEFAULT_ENVIRONMENT) === false ? environments[0] : undefined;
  return { ...scope, environment: environment ?? DEFAULT_ENVIRONMENT };
}

/** Each part as the destroyed agent had it, or as new agents get it if that is less. */
function narrower(ofAll: ScopeBounds, before: ScopeBounds): AgentScope {
  const [base, own] = [defaultScope(ofAll), defaultScope(before)];
  const beyond = new Set(partsBeyond(ofAll, own));
  const pick = <T extends object, Part extends keyof T & string>(from: T, or: T, part: Part) =>
    beyond.has(part) ? or[part] : from[part];
  return {
    environment: pick(own, base, "environment"),
    providers: pick(own, base, "providers"),
    rules: pick(own, base, "rules"),
    allowedEndpoints: pick(own, base, "allowedEndpoints"),
    addresses: pick(own, base, "addresses"),
    models: pick(own, base, "models"),
    scopeExpiresAt: pick(own, base, "scopeExpiresAt"),
    limits: {
      requestsPerMinute: pick(own.limits, base.limits, "requestsPerMinute"),
      openStreams: pick(own.limits, base.limits, "openStreams"),
      bytesPerMinute: pick(own.limits, base.limits, "bytesPerMinute"),
    },
  };
}

const UNLIMITED: ScopeBounds = {
  environments: null,
  providers: null,
  rules: null,
  allowedEndpoints: [],
  addresses: null,
  models: null,
  scopeExpiresAt: null,
  limits: { requestsPerMinute: null, openStreams: null, bytesPerMinute: null },
};

async function ofWorkspace(sql: TransactionSql, workspaceId: string): Promise<ScopeBounds> {
  return (await read(sql, workspaceId, ANY_AGENT)) ?? UNLIMITED;
}

async function read(
  sql: TransactionSql,
  workspaceId: string,
  agent: string,
): Promise<ScopeBounds | undefined> {
  const [row] = await sql<(ScopeRow & { environments: string[] | null })[]>`
    select * from x3sproxy.new_agent_scopes where workspace_id = ${workspaceId} and agent = ${agent}`;
  return row && { environments: row.environments, ...scopeOf(row) };
}

async function store(
  sql: TransactionSql,
  workspaceId: string,
  agent: string,
  bounds: ScopeBounds,
): Promise<void> {
  const { environments, providers, rules, allowedEndpoints, addresses, models, limits } = bounds;
  const endsAt = bounds.scopeExpiresAt === null ? null : new Date(bounds.scopeExpiresAt);
  await sql`
    insert into x3sproxy.new_agent_scopes
      (workspace_id, agent, environments, providers, rules, allowed_endpoints, addresses, models,
       scope_expires_at, requests_per_minute, open_streams, bytes_per_minute)
    values (${workspaceId}, ${agent}, ${environments}::text[], ${providers}::text[], ${rules}::text[],
      ${allowedEndpoints}::text[], ${addresses}::text[], ${models}::text[], ${endsAt},
      ${limits.requestsPerMinute}, ${limits.openStreams}, ${limits.bytesPerMinute})
    on conflict (workspace_id, agent) do update set
      environments = excluded.environments, providers = excluded.providers, rules = excluded.rules,
      allowed_endpoints = excluded.allowed_endpoints, addresses = excluded.addresses,
      models = excluded.models, scope_expires_at = excluded.scope_expires_at,
      requests_per_minute = excluded.requests_per_minute, open_streams = excluded.open_streams,
      bytes_per_minute = excluded.bytes_per_minute, set_at = now()`;
}

function shown(bounds: ScopeBounds): NewAgentScope {
  const { environments, providers, rules, addresses, models, limits } = bounds;
  return { environments, providers, rules, addresses, models, limits };
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
