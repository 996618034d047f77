// The state of a key: whether rotation is due, test results, refusals.
import type { KeyTest, Secret } from "../../contract/client.ts";
import { counted, exactTime, relativeTime, useNowMs } from "../time.ts";
import { Badge } from "./states.tsx";

const SOON_MS = 14 * 86_400_000;

/** Shows that a rotation is due now or soon. */
export function DueBadge({ dueAt }: { dueAt: string }) {
  const nowMs = useNowMs();
  const leftMs = Date.parse(dueAt) - nowMs;
  if (leftMs > SOON_MS) return null;
  return (
    <span title={exactTime(dueAt)}>
      <Badge tone={leftMs <= 0 ? "bad" : "warn"}>
        {leftMs <= 0 ? "rotation due" : `rotate ${relativeTime(dueAt, nowMs)}`}
      </Badge>
    </span>
  );
}

/** Shows that no call can use the key, because its provider was changed or deleted. */
export function Misplaced({ misplaced }: Pick<Secret, "misplaced">) {
  if (misplaced === null) return null;
  return (
    <div>
      <Badge tone="bad">{misplaced === "provider_changed" ? "save it again" : "of no use"}</Badge>{" "}
      <span className="muted">
        {misplaced === "provider_changed"
          ? "the provider takes its key elsewhere since"
          : "the provider was removed"}
      </span>
    </div>
  );
}

/** Shows that the provider refuses the active version, with the number of calls. */
export function Refused({ refusals }: Pick<Secret, "refusals">) {
  const nowMs = useNowMs();
  if (refusals === null) return null;
  const { calls, agents, since } = refusals;
  return (
    <div title={`since ${exactTime(since)}`}>
      <Badge tone="bad">refused</Badge>{" "}
      <span className="muted">
        {`${counted(calls, "call")} of ${counted(agents, "agent")}, first ${relativeTime(since, nowMs)}`}
      </span>
    </div>
  );
}

/** The same, with the provider's answer. */
export function RefusalFacts({ refusals }: Pick<Secret, "refusals">) {
  if (refusals === null) return <span className="muted">nothing</span>;
  const { status401, status403, status429 } = refusals;
  const said = [
    status401 > 0 && `${status401} × 401, the key is not valid`,
    status403 > 0 && `${status403} × 403, it may not do this`,
    status429 > 0 && `${status429} × 429, it has used up what it may`,
  ].filter((each) => each !== false);
  return (
    <>
      <Refused refusals={refusals} />
      {said.join("; ")}
    </>
  );
}

export const TEST_TEXTS: Readonly<Record<KeyTest["reason"], string>> = {
  accepted: "The provider accepts the key.",
  refused: "The provider refuses the key. It may be revoked, or of another account.",
  unreachable: "The provider did not answer. This says nothing about the key.",
  no_test: "There is no free call for this provider that would prove the key.",
  unexpected: "The provider answered neither yes nor no.",
};
