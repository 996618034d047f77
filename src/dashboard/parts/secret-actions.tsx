// Actions on an existing key: test and delete.
import { useMutation } from "@tanstack/react-query";
import type { KeyTest, Secret } from "../../contract/client.ts";
import { useAllAgents, useRefresh, useUse } from "../queries.ts";
import { useCall } from "../session.tsx";
import { AffectedAgents } from "./affected-agents.tsx";
import { Button } from "./button.tsx";
import { DestructionDialog, useKept } from "./dialog.tsx";
import { describeError } from "./field.tsx";
import { TEST_TEXTS } from "./secret-state.tsx";
import { useSay, type Say } from "./toasts.tsx";

type Place = Pick<Secret, "provider" | "environment">;

/** The result of a test, with the key's name. */
export function sayTest(say: Say, key: Place, { ok, status, reason }: KeyTest): void {
  const answer = status === null ? "" : ` (${status})`;
  const came = ok
    ? "the key works"
    : reason === "refused"
      ? "the key is refused"
      : "it is not known whether the key works";
  say(`${key.provider}/${key.environment}: ${came}`, {
    text: TEST_TEXTS[reason] + answer,
    bad: !ok,
  });
}

interface TestProps {
  readonly secret: Pick<Secret, "id" | "provider" | "environment">;
  /** Absent: the active one. */
  readonly version?: number;
}

/** Tests the key by a free call to the provider, and shows the result. */
export function TestButton({ secret, version }: TestProps) {
  const call = useCall();
  const say = useSay();
  const name = `${secret.provider}/${secret.environment}`;
  const test = useMutation({
    mutationFn: () =>
      call("POST /secrets/:id/test", {
        params: { id: secret.id },
        ...(version !== undefined && { body: { version } }),
      }),
    onSuccess: ({ test: came }) => sayTest(say, secret, came),
    onError: (error) => say(`${name}: not tested`, { text: describeError(error), bad: true }),
  });
  const of = version === undefined ? "" : ` version ${version} of`;
  return (
    <Button
      small
      busy={test.isPending}
      onClick={() => test.mutate()}
      aria-label={`Test${of} ${secret.provider} in ${secret.environment}`}
    >
      Test
    </Button>
  );
}

interface DeleteProps {
  readonly secret: Secret | undefined;
  readonly onClose: () => void;
  readonly onDeleted?: () => void;
}

export function DeleteSecretDialog(props: DeleteProps) {
  const { onClose, onDeleted } = props;
  const secret = useKept(props.secret);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  if (secret === undefined) return null;
  const name = `${secret.provider}/${secret.environment}`;
  return (
    <DestructionDialog
      open={props.secret !== undefined}
      onClose={onClose}
      title={`Delete the key of ${secret.provider} in ${secret.environment}?`}
      consequences={<Affected secret={secret} />}
      name={name}
      action="Delete the key"
      run={async () => {
        await call("DELETE /secrets/:id", { params: { id: secret.id } });
        onDeleted?.();
        await refresh("secrets", "providers", "workspace");
        say(`Deleted ${name}`);
      }}
    />
  );
}

/** The agents that lose the key, and when each last used it. */
function Affected({ secret }: { secret: Secret }) {
  const use = useUse(secret.id);
  const { provider, environment } = secret;
  const agents = useAllAgents({ environment, mayUse: provider });
  const lastUse = new Map<string, string>();
  for (const { agent, lastUsedAt } of use.rows) {
    if (lastUsedAt > (lastUse.get(agent) ?? "")) lastUse.set(agent, lastUsedAt);
  }
  return (
    <>
      <p>All {secret.version === 1 ? "of it is" : "its versions are"} gone for good.</p>
      <AffectedAgents
        lists={[agents, use]}
        agents={agents.rows.map(({ name }) => ({ name, lastUsedAt: lastUse.get(name) ?? null }))}
        none="No agent may use it."
        intro={(who) => `Calls to ${provider} will be refused at once for ${who}`}
        lastly="last used it"
      />
    </>
  );
}
