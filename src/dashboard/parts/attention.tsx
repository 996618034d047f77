// What needs attention: one line each, with a link to mend it.
import { useState } from "react";
import { Link } from "react-router";
import type { Overview } from "../../contract/client.ts";
import { agentPath, PATHS } from "../paths.ts";
import { useWorkspace } from "../queries.ts";
import { number } from "../time.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";
import { Section } from "./page.tsx";
import { Skeleton } from "./states.tsx";
import { When } from "./when.tsx";

type Item = Overview["attention"][number];
type Kind = Item["kind"];

const TEXTS: Readonly<Record<Kind, { title: string; action: string }>> = {
  key_refused: { title: "Key refused by its provider", action: "Replace it" },
  unusual_use: { title: "Uses something for the first time", action: "Look at it" },
  rotation_due: { title: "Key due for rotation", action: "Rotate it" },
  agent_idle: { title: "Agent idle", action: "Look at it" },
  token_unused: { title: "Token never used", action: "Look at it" },
  refusals_rising: { title: "Refusals rising", action: "See what is refused" },
};

/** How many are shown at first. */
const FIRST = 10;

export function Attention({ items }: { items: readonly Item[] | undefined }) {
  const [whole, setWhole] = useState(false);
  const { data: workspace } = useWorkspace();
  const suspended = workspace !== undefined && workspace.agentsSuspendedAt !== null;
  return (
    <Section title="Needs attention">
      <div className="card attention" aria-busy={items === undefined || undefined}>
        {items === undefined && (
          <p className="attention-none">
            <Skeleton width="14rem" />
          </p>
        )}
        {items?.length === 0 && (
          <p className="attention-none">
            {suspended ? (
              "Nothing but that all agents are suspended."
            ) : (
              <>
                <Icon name="check" /> Nothing. No key is due, no agent is idle, refusals are few.
              </>
            )}
          </p>
        )}
        {items !== undefined && items.length > 0 && (
          <ul>
            {items.slice(0, whole ? undefined : FIRST).map((item) => (
              <li key={`${item.kind} ${item.subject}`}>
                <Icon name="warning" />
                <p>
                  <strong>{TEXTS[item.kind].title}:</strong> {item.subject}
                  <span className="muted">
                    {" · "}
                    {item.detail}
                    {item.kind === "key_refused" && (
                      <>
                        , first <When at={item.since} />
                      </>
                    )}
                  </span>
                </p>
                <Link to={placeOf(item)} aria-label={`${TEXTS[item.kind].action}: ${item.subject}`}>
                  {TEXTS[item.kind].action}
                </Link>
              </li>
            ))}
          </ul>
        )}
        {items !== undefined && items.length > FIRST && !whole && (
          <div className="table-end">
            <p className="muted">
              The first {FIRST} of {number(items.length)}
            </p>
            <Button onClick={() => setWhole(true)}>Show more</Button>
          </div>
        )}
      </div>
    </Section>
  );
}

/** The subject of a secret is `provider/environment`. The others' is an agent, or words for all agents. */
function placeOf({ kind, subject }: Item): string {
  const at = (path: string, query: Record<string, string>) =>
    `${path}?${new URLSearchParams(query).toString()}`;
  switch (kind) {
    case "key_refused":
    case "rotation_due": {
      const [provider = "", environment = ""] = subject.split("/");
      return at(PATHS.secrets, { provider, environment });
    }
    case "refusals_rising":
      return subject.includes(" ") ? PATHS.activity : at(PATHS.activity, { agent: subject });
    case "unusual_use":
    case "agent_idle":
    case "token_unused":
      return agentPath(subject);
  }
}
