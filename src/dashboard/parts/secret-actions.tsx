// What can be done with a key: add or rotate it, test it, delete it. A typed value lives in its field alone, until it is
// sent or the dialog closes.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { read, type Provider, type Secret } from "../answers.ts";
import { useAllAgents, useRefresh, useUse, useWorkspace } from "../queries.ts";
import { useCall } from "../session.tsx";
import { AffectedAgents } from "./affected-agents.tsx";
import { Button } from "./button.tsx";
import { DestructionDialog, Modal, useKept } from "./dialog.tsx";
import { CheckField, describeError, Field, FormError, SelectField } from "./field.tsx";
import { TEST_TEXTS } from "./secret-state.tsx";
import { Note } from "./states.tsx";
import { useSay } from "./toasts.tsx";

/** A free call to the provider that shows whether the key works; says what came of it. */
function useTest() {
  const call = useCall();
  const say = useSay();
  return useMutation({
    mutationFn: (secret: Pick<Secret, "id">) =>
      call(read.test, "POST", `/secrets/${secret.id}/test`),
    onSuccess: ({ ok, status, reason }) => {
      const answer = status === null ? "" : ` (${status})`;
      const title = ok
        ? "The key works"
        : reason === "refused"
          ? "The key is refused"
          : "Not proved";
      say(title, { text: TEST_TEXTS[reason] + answer, bad: !ok });
    },
    onError: (error) => say("Not tested", { text: describeError(error), bad: true }),
  });
}

export function TestButton({
  secret,
}: {
  secret: Pick<Secret, "id" | "provider" | "environment">;
}) {
  const test = useTest();
  return (
    <Button
      small
      busy={test.isPending}
      onClick={() => test.mutate(secret)}
      aria-label={`Test ${secret.provider} in ${secret.environment}`}
    >
      Test
    </Button>
  );
}

interface SecretDialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly providers: readonly Provider[];
  readonly provider: string;
  readonly environment: string;
  /** The key that is there already: the new value becomes its next version. */
  readonly existing: Pick<Secret, "masked" | "version" | "label"> | undefined;
}

export function SecretDialog(props: SecretDialogProps) {
  const { open, onClose, existing } = props;
  return (
    <Modal
      open={open}
      onClose={onClose}
      title={existing === undefined ? "Add a provider’s key" : "Rotate the key"}
      description={
        existing === undefined
          ? "Agents of that environment can use it within a second. They need no new token."
          : "The new value is used within a second, by every agent and without a restart. The old one stays, to roll back to."
      }
    >
      <SecretForm {...props} />
    </Modal>
  );
}

function SecretForm(props: SecretDialogProps) {
  const { onClose, providers, existing } = props;
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const test = useTest();
  const { data: workspace } = useWorkspace();
  const [provider, setProvider] = useState(props.provider);
  const [environment, setEnvironment] = useState(props.environment || "production");
  const [label, setLabel] = useState(existing?.label ?? "");
  const [origin, setOrigin] = useState("");
  const [value, setValue] = useState("");
  const [testing, setTesting] = useState(true);
  const chosen = providers.find(({ name }) => name === provider);
  const needsOrigin = chosen !== undefined && chosen.origin === null;
  const save = useMutation({
    mutationFn: () =>
      call(read.secret, "PUT", "/secrets", {
        body: {
          ...{ provider, environment: environment.trim(), value: value.trim() },
          ...(label.trim() !== (existing?.label ?? "") && { label: label.trim() }),
          ...(needsOrigin && { origin: origin.trim() }),
        },
      }),
    onSuccess: async (secret) => {
      setValue("");
      await refresh("secrets", "providers", "workspace");
      onClose();
      if (testing) test.mutate(secret);
      else say(`Saved as version ${secret.version}`, { text: secret.masked });
    },
  });
  const fixed = existing !== undefined;
  return (
    <form
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (!save.isPending) save.mutate();
      }}
    >
      {fixed && (
        <Note>
          {chosen?.title ?? provider} in {environment}: <code>{existing.masked}</code>, version{" "}
          {existing.version}.
        </Note>
      )}
      {!fixed && (
        <div className="fields-row">
          <SelectField
            label="Provider"
            value={provider}
            onValue={setProvider}
            required
            options={[
              ...(chosen === undefined ? [["", "Choose …"] as const] : []),
              ...providers.map(({ name, title }) => [name, title] as const),
            ]}
            data-initial-focus={props.provider === "" || undefined}
          />
          <Field
            label="Environment"
            value={environment}
            onValue={setEnvironment}
            suggestions={workspace?.environments ?? []}
            pattern="[a-z0-9][a-z0-9\-]{0,62}"
            title="Lower-case letters, digits and dashes"
            autoCapitalize="off"
            required
          />
        </div>
      )}
      {needsOrigin && (
        <Field
          label="Origin"
          type="url"
          placeholder="https://my-resource.example.com"
          hint="Every customer of this provider has one of their own. The key goes nowhere else."
          value={origin}
          onValue={setOrigin}
          required
        />
      )}
      <Field
        label={fixed ? "New value" : "Key"}
        type="password"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        data-1p-ignore
        data-lpignore="true"
        maxLength={20_000}
        hint="Sealed at once, and never shown again."
        value={value}
        onValue={setValue}
        required
        data-initial-focus={fixed || props.provider !== "" || undefined}
      />
      <Field
        label="Label"
        hint="Optional: where it comes from, as in “team account”. Not the key."
        maxLength={200}
        value={label}
        onValue={setLabel}
      />
      <CheckField
        label="Test it with a free call to the provider after saving"
        checked={testing}
        onValue={setTesting}
      />
      <FormError error={save.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" type="submit" busy={save.isPending}>
          {fixed ? "Rotate" : "Save"}
        </Button>
      </div>
    </form>
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
        await call(read.nothing, "DELETE", `/secrets/${secret.id}`);
        onDeleted?.();
        await refresh("secrets", "providers", "workspace");
        say(`Deleted ${name}`);
      }}
    />
  );
}

/** Who loses the key, and when each last used it. */
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
