// The dialog's content after a rotation: which agents already use the new key, and the rollback.
import { useMutation } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Secret, SecretUse } from "../../contract/client.ts";
import { agentPath, secretPath } from "../paths.ts";
import { useRefresh, useUse } from "../queries.ts";
import { useCall } from "../session.tsx";
import { Button } from "./button.tsx";
import { FormError } from "./field.tsx";
import { ErrorNote, Note } from "./states.tsx";
import { useSay } from "./toasts.tsx";
import { When } from "./when.tsx";

interface RotatedProps {
  readonly secret: Secret;
  /** The previously active version. */
  readonly before: number;
  readonly onClose: () => void;
}

export function Rotated({ secret, before, onClose }: RotatedProps) {
  const { id, version, masked, provider, environment } = secret;
  const name = `${provider}/${environment}`;
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const rollback = useMutation({
    mutationFn: () =>
      call("POST /secrets/:id/rollback", { params: { id }, body: { version: before } }),
    onSuccess: async ({ secret: old }) => {
      await refresh("secrets");
      say(`${name}: back on version ${old.version}`, { text: old.masked });
      onClose();
    },
  });
  return (
    <>
      <Note>
        <p>
          <strong>{name}</strong> is on version {version}, <code>{masked}</code>. Version {before}{" "}
          stays, to roll back to.
        </p>
      </Note>
      <Moved id={id} version={version} />
      <FormError error={rollback.error} />
      <div className="dialog-actions">
        <Link className="push-left" to={secretPath(id)} onClick={onClose}>
          All versions
        </Link>
        <Button kind="danger" busy={rollback.isPending} onClick={() => rollback.mutate()}>
          Roll back to version {before}
        </Button>
        <Button kind="primary" onClick={onClose} data-initial-focus>
          Done
        </Button>
      </div>
    </>
  );
}

/** Each agent that was seen with the key, and whether its latest calls had the new version. */
function Moved({ id, version }: { id: string; version: number }) {
  const use = useUse(id);
  if (use.error !== null) return <ErrorNote error={use.error} retry={use.retry} />;
  if (use.loading) return <p className="muted">Looking who uses it …</p>;
  const latest = latestUse(use.rows);
  if (latest.length === 0) return <p className="muted">No agent has used this key yet.</p>;
  const moved = latest.filter((each) => each.version === version).length;
  return (
    <>
      <p>
        {moved} of {latest.length} {latest.length === 1 ? "agent has" : "agents have"} moved to
        version {version}. The others use it with their next call.
      </p>
      <ul className="affected" tabIndex={0} aria-label="Agents">
        {latest.map((each) => (
          <li key={each.agent}>
            <Link to={agentPath(each.agent)}>{each.agent}</Link>
            <span className="muted">
              version {each.version}, <When at={each.lastUsedAt} />
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Each agent's latest use. Agents that still use the old version come first. */
function latestUse(rows: readonly SecretUse[]): readonly SecretUse[] {
  const byAgent = new Map<string, SecretUse>();
  for (const row of rows) {
    const known = byAgent.get(row.agent);
    if (known === undefined || known.lastUsedAt < row.lastUsedAt) byAgent.set(row.agent, row);
  }
  return [...byAgent.values()].sort(
    (a, b) => a.version - b.version || a.agent.localeCompare(b.agent),
  );
}
