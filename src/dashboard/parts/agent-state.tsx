// How an agent stands, in a word.
import type { Agent } from "../answers.ts";
import { useNowMs } from "../time.ts";
import { Badge } from "./states.tsx";

export function AgentBadges({ agent }: { agent: Agent }) {
  const nowMs = useNowMs();
  const expired = agent.expiresAt !== null && Date.parse(agent.expiresAt) <= nowMs;
  return (
    <>
      {expired && <Badge tone="bad">token ended</Badge>}
      {agent.lastUsedAt === null && !expired && <Badge tone="warn">never used</Badge>}
      {agent.idle && agent.lastUsedAt !== null && <Badge tone="warn">idle</Badge>}
    </>
  );
}
