// The state of an agent, as a badge.
import type { Agent } from "../../contract/client.ts";
import { useNowMs } from "../time.ts";
import { Badge } from "./states.tsx";

const SOON_MS = 3 * 86_400_000;

export function AgentBadges({ agent }: { agent: Agent }) {
  const nowMs = useNowMs();
  const msTo = (end: string | null) => (end === null ? Infinity : Date.parse(end) - nowMs);
  const expired = msTo(agent.expiresAt) <= 0;
  const scopeMs = msTo(agent.scopeExpiresAt);
  return (
    <span className="marks">
      {agent.suspendedAt !== null && <Badge tone="bad">suspended</Badge>}
      {expired && <Badge tone="bad">token ended</Badge>}
      {scopeMs <= 0 && <Badge tone="bad">scope ended</Badge>}
      {scopeMs > 0 && scopeMs <= SOON_MS && <Badge tone="warn">scope ends soon</Badge>}
      {agent.lastUsedAt === null && !expired && <Badge tone="warn">never used</Badge>}
      {agent.idle && agent.lastUsedAt !== null && <Badge tone="warn">idle</Badge>}
    </span>
  );
}
