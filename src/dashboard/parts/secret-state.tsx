// How a key stands: due for rotation, and what a test of it said.
import type { SecretTest } from "../answers.ts";
import { exactTime, relativeTime, useNowMs } from "../time.ts";
import { Badge } from "./states.tsx";

const SOON_MS = 14 * 86_400_000;

/** Says that a rotation is due, or soon will be. */
export function DueBadge({ dueAt }: { dueAt: string }) {
  const nowMs = useNowMs();
  const leftMs = Date.parse(dueAt) - nowMs;
  if (leftMs > SOON_MS) return null;
  return (
    <span title={exactTime(dueAt)}>
      <Badge tone={leftMs <= 0 ? "bad" : "warn"}>
        {leftMs <= 0 ? "rotation due" : `rotation due ${relativeTime(dueAt, nowMs)}`}
      </Badge>
    </span>
  );
}

export const TEST_TEXTS: Readonly<Record<SecretTest["reason"], string>> = {
  accepted: "The provider accepts the key.",
  refused: "The provider refuses the key. It may be revoked, or of another account.",
  unreachable: "The provider did not answer. This says nothing about the key.",
  no_test: "There is no free call for this provider that would prove the key.",
  unexpected: "The provider answered neither yes nor no.",
};
