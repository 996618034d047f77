// Suspending an agent and resuming it: whether its token is good for anything, without ending the token.
import { record, type Actor } from "../audit/index.ts";
import type { TransactionSql } from "../db/index.ts";
import { agentTarget, findAgent, type AgentView } from "./agent-view.ts";

/** The agent as it becomes; as it is, and nothing recorded, when it is so already. `before`: with its row held. */
export async function setSuspended(
  sql: TransactionSql,
  by: Actor,
  before: AgentView,
  suspended: boolean,
): Promise<AgentView> {
  if ((before.suspendedAt !== null) === suspended) return before;
  await sql`
    update x3sproxy.agents set suspended_at = case when ${suspended} then now() end
    where id = ${before.id}`;
  const after = await findAgent(sql, by.workspaceId, before.name);
  if (after === undefined) throw new Error("a held agent is missing");
  const action = suspended ? "agent.suspend" : "agent.resume";
  await record(sql, by, { action, target: agentTarget(after), before, after });
  return after;
}
