// How an agent is used, beside what it is: the fields of the answers that show agents.
import { z } from "zod";
import type { ActivityViews, AgentUse } from "../activity/index.ts";

export const agentUseFields = {
  lastUsedAt: z.string().nullable().describe("Null: never."),
  requests24h: z.number(),
  refusals24h: z.number(),
  providersUsed: z.array(z.string()).describe("All that it has ever used."),
  idle: z.boolean().describe("Not used for as long as the workspace's rule says."),
};

// Of an agent that was made between the two questions.
const NOT_USED: AgentUse = {
  lastUsedAt: null,
  requests24h: 0,
  refusals24h: 0,
  providersUsed: [],
  idle: false,
};

export async function withUse<Agent extends { readonly name: string }>(
  activity: ActivityViews,
  workspaceId: string,
  agents: readonly Agent[],
): Promise<(Agent & AgentUse)[]> {
  const use = await activity.agentUse(
    workspaceId,
    agents.map(({ name }) => name),
  );
  return agents.map((agent) => ({ ...agent, ...(use.get(agent.name) ?? NOT_USED) }));
}
