// An agent's scope for reading: every part in full.
import type { Agent } from "../../contract/client.ts";
import { limitationsOf, type ScopeFields } from "../scope-draft.ts";
import { exactTime } from "../time.ts";
import { Facts } from "./facts.tsx";
import { Limits } from "./limit-fields.tsx";
import { Badge } from "./states.tsx";
import { When } from "./when.tsx";

const UNLIMITED = <span className="muted">not limited</span>;

export function ScopeFacts({ scope }: { scope: ScopeFields & Pick<Agent, "environment"> }) {
  const { allowedEndpoints: endpoints, scopeExpiresAt: end } = scope;
  return (
    <Facts
      facts={[
        ["Environment", scope.environment],
        ["Providers", <Names key="providers" of={scope.providers} />],
        ["Models", <Names key="models" of={scope.models} />],
        ["Calls", <Names key="rules" of={scope.rules} />],
        ["Source addresses", <Names key="addresses" of={scope.addresses} />],
        ["Sensitive endpoints", <Names key="endpoints" of={endpoints} />],
        [
          "All of it ends",
          end === null ? (
            <span className="muted">never</span>
          ) : (
            <span key="end">
              <When at={end} />
              <div className="muted">{exactTime(end)}</div>
            </span>
          ),
        ],
        ["Limits", <Limits key="limits" limits={scope.limits} />],
      ]}
    />
  );
}

/** Null: not limited. */
function Names({ of }: { of: readonly string[] | null }) {
  if (of === null) return UNLIMITED;
  if (of.length === 0) return <span className="muted">none</span>;
  return (
    <ul className="names">
      {of.map((name) => (
        <li key={name}>
          <code>{name}</code>
        </li>
      ))}
    </ul>
  );
}

/** The same in a few words. */
export function ScopeSummary({ agent }: { agent: Agent }) {
  const limitations = limitationsOf(agent);
  return limitations.length === 0 ? (
    <Badge>unlimited</Badge>
  ) : (
    <span className="break">{limitations.join(" · ")}</span>
  );
}
