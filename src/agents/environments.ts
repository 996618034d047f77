// Environments: an agent uses the keys of its own environment. An environment exists while an agent or a key names it; it has no row.
import { record, type Actor } from "../audit/index.ts";
import { isUniqueViolation, type Pool, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";

export interface EnvironmentView {
  name: string;
  /** How many keys it has. */
  secrets: number;
  /** How many agents it has. */
  agents: number;
}

export interface Environments {
  /** By name. `only`: the agents that the caller may see, and only these are counted; null: all. */
  list(workspaceId: string, only: readonly string[] | null): Promise<EnvironmentView[]>;
  /**
   * Renames an environment: moves all its agents and keys together. If the new name exists already, the two environments become one.
   * Recorded in the audit. Throws RequestError: 404 `environment_not_found`, 409 `name_taken` if both have a key of one provider.
   */
  rename(by: Actor, from: string, to: string): Promise<EnvironmentView>;
}

/** `pool`: the control role's. */
export function createEnvironments({ pool }: { pool: Pool }): Environments {
  return {
    list: (workspaceId, only) =>
      pool.inWorkspace(workspaceId, (sql) => read(sql, workspaceId, only)),

    rename: (by, from, to) =>
      pool
        .inWorkspace(by.workspaceId, async (sql) => {
          // Locks the workspace, so that a change of what new agents get can't write the old name back.
          await sql`
            select from x3sproxy.workspaces where id = ${by.workspaceId} for no key update`;
          const before = (await read(sql, by.workspaceId, null)).find(({ name }) => name === from);
          // Triggers on both tables notify the proxies, which look up the grants again.
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
          if (!isUniqueViolation(error)) throw error;
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

/** Renames it among the environments that new agents may have. Returns these from before and after. */
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
  // Keeps their order: new agents begin in the first one.
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
