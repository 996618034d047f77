// Scope trials (dry runs): which known calls an agent's scope would refuse after a change. Must never change anything. The scope is compiled
// and asked by the same code as in the data plane.
import type { Clock } from "../platform/clock.ts";
import type { Pool } from "../db/index.ts";
import { RequestError, type RefusalReason } from "../platform/errors.ts";
import { sensitiveEndpoint } from "../providers/index.ts";
import { agentView, type AgentRow } from "./agent-view.ts";
import { changedScope, checkScope, type ScopeChange } from "./scope-change.ts";
import { admissionOf, compileScope, refusalOf, type Scope } from "../scopes/index.ts";

/** What is remembered of a call. */
export interface RememberedCall {
  /** Empty: not known. */
  readonly provider: string;
  readonly method: string;
  /** Canonical; empty: not known. */
  readonly path: string;
  /** Empty: not known. */
  readonly address: string;
}

export interface ScopeTrial {
  readonly agentId: string;
  /** Why the scope would refuse the call now; undefined: it would not; `unknown`: too little is known of the call. */
  judge(call: RememberedCall): RefusalReason | "unknown" | undefined;
}

export interface ScopeTrials {
  /** Tries the agent's scope with `change`. Throws RequestError 404 `agent_not_found`, and 422 as the change itself would. */
  begin(workspaceId: string, name: string, change: ScopeChange): Promise<ScopeTrial>;
}

/** `pool`: the control role's. */
export function createScopeTrials({ pool, clock }: { pool: Pool; clock: Clock }): ScopeTrials {
  return {
    begin: (workspaceId, name, asked) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const change = await checkScope(sql, workspaceId, asked);
        const [row] = await sql<AgentRow[]>`
          select a.*, null as expires_at from x3sproxy.agents a
          where workspace_id = ${workspaceId} and name = ${name}`;
        if (row === undefined) {
          throw new RequestError(404, "agent_not_found", `there is no agent "${name}"`);
        }
        const agent = agentView(row);
        const { scopeExpiresAt, ...parts } = changedScope(agent, change);
        const { providers, rules, allowedEndpoints, addresses, models } = parts;
        const scope = compileScope({
          ...{ providers, rules, allowedEndpoints, addresses, models },
          expiresAtMs: scopeExpiresAt === null ? null : Date.parse(scopeExpiresAt),
        });
        const nowMs = clock.nowMs();
        return { agentId: agent.id, judge: (call) => judge(scope, call, nowMs) };
      }),
  };
}

function judge(
  scope: Scope,
  { provider, method, path, address }: RememberedCall,
  nowMs: number,
): RefusalReason | "unknown" | undefined {
  if (provider === "") return "unknown";
  const refusal = admissionOf(scope, address === "" ? undefined : address, nowMs);
  if (refusal !== undefined) return refusal;
  // A provider that isn't allowed is refused on every path.
  if (path === "" && scope.providers?.has(provider) !== false) return "unknown";
  return refusalOf(scope, {
    ...{ provider, method, path },
    sensitiveEndpoint: sensitiveEndpoint(provider, method, path),
  });
}
