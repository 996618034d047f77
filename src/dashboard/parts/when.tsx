// A moment: how long ago, with the exact time on hover and for programs.
import { exactTime, relativeTime, useNowMs } from "../time.ts";

export function When({ at, never = "never" }: { at: string | null; never?: string }) {
  const nowMs = useNowMs();
  if (at === null) return <span className="muted">{never}</span>;
  return (
    <time dateTime={at} title={exactTime(at)}>
      {relativeTime(at, nowMs)}
    </time>
  );
}
