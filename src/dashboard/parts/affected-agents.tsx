// For dialogs that remove something: the agents that use it, and when each last did. Shows all of them.
import type { Rows } from "../queries.ts";
import { counted } from "../time.ts";
import { When } from "./when.tsx";

export interface Affected {
  readonly name: string;
  /** Null: never. */
  readonly lastUsedAt: string | null;
}

interface AffectedAgentsProps {
  /** The query that finds them. */
  readonly lists: readonly Pick<Rows<unknown>, "loading" | "error">[];
  readonly agents: readonly Affected[];
  /** The text if there are none. */
  readonly none: string;
  /** The sentence about them. `who`: as in "these 9 agents". */
  readonly intro: (who: string) => string;
  /** The verb before the time, as in "last used it". */
  readonly lastly: string;
}

export function AffectedAgents({ lists, agents, none, intro, lastly }: AffectedAgentsProps) {
  if (lists.some(({ error }) => error !== null)) {
    return (
      <p>
        <strong>Which agents use it could not be found out.</strong>
      </p>
    );
  }
  if (lists.some(({ loading }) => loading)) return <p>Looking who uses it …</p>;
  if (agents.length === 0) return <p>{none}</p>;
  const ordered = agents.toSorted(
    (a, b) =>
      (b.lastUsedAt ?? "").localeCompare(a.lastUsedAt ?? "") || a.name.localeCompare(b.name),
  );
  const used = agents.filter(({ lastUsedAt }) => lastUsedAt !== null).length;
  return (
    <>
      <p>
        {intro(agents.length === 1 ? "this agent" : `these ${counted(agents.length, "agent")}`)}
        {used < agents.length && used > 0 && `, of which ${counted(used, "has", "have")} used it`}:
      </p>
      <ul className="affected" tabIndex={0} aria-label="Agents">
        {ordered.map(({ name, lastUsedAt }) => (
          <li key={name}>
            <span>{name}</span>
            <span className="muted">
              {lastUsedAt === null ? (
                "never used it"
              ) : (
                <>
                  {lastly} <When at={lastUsedAt} />
                </>
              )}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
