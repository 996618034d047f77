// Environments: the names that agents and keys share. One is there while an agent or a key is in it, and has no row of its own.
import { record, type Actor } from "../audit/index.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";

export interface EnvironmentView {
  name: string;
  /** How many keys and agents are in it. */
  secrets: number;
  agents: number;
}

export interface Environments {
  /** By name. `only`: the agents that count, as if there were no others; null: all. */
  list(workspaceId: string, only: readonly string[] | null): Promise<EnvironmentView[]>;
  /**
   * Moves all agents and keys of one to another name, together. Where that is an environment already, the two become one. Recorded in
   * the audit. Throws RequestError: 404 `environment_not_found`, 409 `name_taken` when both have a key of one provider.
   */
  rename(by: Actor, from: string, to: string): Promise<EnvironmentView>;
}

const UNIQUE_VIOLATION = "23505";

/** `pool`: the control role's. */
export function createEnvironments({ pool }: { pool: Pool }): Environments {
  return {
    list: (workspaceId, only) =>
      pool.inWorkspace(workspaceId, (sql) => read(sql, workspaceId, only)),

    rename: (by, from, to) =>
      pool
        .inWorkspace(by.workspaceId, async (sql) => {
          // Whoever changes what new agents get would write the names from before again.
          await sql`
            select from x3sproxy.workspaces where id = ${by.workspaceId} for no key update`;
          const before = (await read(sql, by.workspaceId, null)).find(({ name }) => name === from);
          // Both tables announce it, so that grants are looked up anew.
          const secrets = await sql`
            update x3sproxy.secrets set environment = ${to}
            where workspace_id = ${by.workspaceId} and environment = ${from}`;
          const agents = await sql`
            update x3sproxy.agents set environment = ${to}
            where workspace_id = ${by.workspaceId} and environment = ${from}`;
          const newAgents = await renameInBounds(sql, by.workspaceId, from, to);
          if (secrets.count + agents.count === 0) {
            throw new RequestError(
              404,
              "environment_not_found",
              `there is no agent and no key in the environment "${from}"`,
            );
          }
          const after = (await read(sql, by.workspaceId, null)).find(({ name }) => name === to);
          if (after === undefined) throw new Error("the renamed environment is missing");
          const target = { kind: "environment", id: from, name: from };
          await record(sql, by, {
            action: "environment.rename",
            target,
            before: { ...before, newAgents: newAgents.before },
            after: { ...after, newAgents: newAgents.after },
          });
          return after;
        })
        .catch((error: unknown) => {
          if ((error as { code?: unknown }).code !== UNIQUE_VIOLATION) throw error;
          throw new RequestError(
            409,
            "name_taken",
            `"${to}" has a key of the same provider already: delete one of the two first`,
          );
        }),
  };
}

interface NewAgentEnvironments {
  environments: string[] | null;
}

/** What new agents may be deployed into goes by the same name from then on. Gives what the workspace says of it. */
async function renameInBounds(
  sql: TransactionSql,
  workspaceId: string,
  from: string,
  to: string,
): Promise<{
  before: NewAgentEnvironments | undefined;
  after: NewAgentEnvironments | undefined;
}> {
  const ofWorkspace = () => sql<NewAgentEnvironments[]>`
    select environments from x3sproxy.new_agent_scopes
    where workspace_id = ${workspaceId} and agent = ''`;
  const [before] = await ofWorkspace();
  // In their order: new agents begin in the first one.
  await sql`
    update x3sproxy.new_agent_scopes
    set environments = array(
      select each.name
      from unnest(array_replace(environments, ${from}, ${to})) with ordinality as each (name, place)
      group by each.name order by min(each.place))
    where workspace_id = ${workspaceId} and ${from} = any (environments)`;
  const [after] = await ofWorkspace();
  return { before, after };
}

async function read(
  sql: TransactionSql,
  workspaceId: string,
  only: readonly string[] | null,
): Promise<EnvironmentView[]> {
  return [
    ...(await sql<EnvironmentView[]>`
      select name, (count(*) filter (where kind = 'secret'))::integer as secrets,
        (count(*) filter (where kind = 'agent'))::integer as agents
      from (
        select environment as name, 'secret' as kind from x3sproxy.secrets where workspace_id = ${workspaceId}
        union all
        select environment, 'agent' from x3sproxy.agents
        where workspace_id = ${workspaceId} and (${only === null} or agents.name = any (${[...(only ?? [])]}))
      ) each group by name order by name collate "C"`),
  ];
}
