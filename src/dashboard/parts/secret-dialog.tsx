// The dialog to add or rotate a key: the form, the provider's answer, and the next steps. A typed value exists only in its field, until it
// is sent or the dialog closes.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Provider, Secret } from "../../contract/client.ts";
import { ApiProblem } from "../api.ts";
import { useRefresh, useWorkspace } from "../queries.ts";
import { useCall } from "../session.tsx";
import { Button } from "./button.tsx";
import { CandidateForm, type Candidate } from "./candidate.tsx";
import { Modal } from "./dialog.tsx";
import { CheckField, Field, FormError, SelectField } from "./field.tsx";
import { EnvironmentField } from "./name-fields.tsx";
import { Rotated } from "./rotated.tsx";
import { sayTest } from "./secret-actions.tsx";
import { TEST_TEXTS } from "./secret-state.tsx";
import { Note } from "./states.tsx";
import { useSay } from "./toasts.tsx";

interface SecretDialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly providers: readonly Provider[];
  readonly provider: string;
  readonly environment: string;
  /** The existing key. The new value becomes its next version. */
  readonly existing: Pick<Secret, "id" | "masked" | "version" | "label"> | undefined;
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
          : "Once the provider takes the new value, every agent uses it within a second, without a restart. The old one stays, to roll back to."
      }
    >
      <SecretSteps {...props} />
    </Modal>
  );
}

/** A new key that isn't active. */
interface Waiting {
  readonly name: string;
  readonly candidate: Candidate;
  readonly label: string | undefined;
  readonly refused: boolean;
  readonly why: string;
}

function SecretSteps(props: SecretDialogProps) {
  const { existing, onClose } = props;
  const [waiting, setWaiting] = useState<Waiting | undefined>();
  const [active, setActive] = useState<Secret | undefined>();
  const [first, setFirst] = useState<RefusedFirst | undefined>();
  const [again, setAgain] = useState(false);
  // The state when the dialog opened: the list behind it is reloaded meanwhile.
  const [atOpening] = useState(existing?.version);
  const before = atOpening ?? first?.existing.version;
  if (active !== undefined && before !== undefined) {
    const { provider, environment } = first ?? props;
    return (
      <Rotated secret={{ ...active, provider, environment }} before={before} onClose={onClose} />
    );
  }
  if (waiting !== undefined) {
    return (
      <CandidateForm
        {...waiting}
        onActive={before === undefined ? onClose : setActive}
        onClose={onClose}
      />
    );
  }
  if (first !== undefined && !again) {
    return <FirstRefused {...first} onAgain={() => setAgain(true)} onClose={onClose} />;
  }
  return (
    <SecretForm
      {...props}
      {...first}
      onWaiting={setWaiting}
      onRotated={setActive}
      onFirstRefused={setFirst}
    />
  );
}

/** The first key of a provider and environment: active although the provider refuses it. */
interface RefusedFirst {
  readonly provider: string;
  readonly environment: string;
  readonly existing: NonNullable<SecretDialogProps["existing"]>;
}

interface FirstRefusedProps extends RefusedFirst {
  readonly onAgain: () => void;
  readonly onClose: () => void;
}

function FirstRefused({ provider, environment, existing, onAgain, onClose }: FirstRefusedProps) {
  return (
    <>
      <Note tone="bad">
        <p role="alert">
          <strong>
            {provider}/{environment}
          </strong>{" "}
          is saved, <code>{existing.masked}</code>. {TEST_TEXTS.refused} Until another key is there,
          agents get that refusal.
        </p>
      </Note>
      <div className="dialog-actions">
        <Button onClick={onClose}>Leave it so</Button>
        <Button kind="primary" onClick={onAgain}>
          Enter another key
        </Button>
      </div>
    </>
  );
}

interface SecretFormProps extends SecretDialogProps {
  readonly onWaiting: (waiting: Waiting) => void;
  readonly onRotated: (secret: Secret) => void;
  readonly onFirstRefused: (first: RefusedFirst) => void;
}

function SecretForm(props: SecretFormProps) {
  const { onClose, providers, existing } = props;
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const { data: workspace } = useWorkspace();
  const [provider, setProvider] = useState(props.provider);
  const [environment, setEnvironment] = useState(props.environment || "production");
  const [label, setLabel] = useState(existing?.label ?? "");
  const [origin, setOrigin] = useState("");
  const [value, setValue] = useState("");
  const [testing, setTesting] = useState(true);
  const chosen = providers.find(({ name }) => name === provider);
  const needsOrigin = chosen !== undefined && chosen.origin === null;
  const fixed = existing !== undefined;
  const newLabel = label.trim() === (existing?.label ?? "") ? undefined : label.trim();
  const save = useMutation({
    mutationFn: () =>
      call("PUT /secrets", {
        body: {
          ...{ provider, environment: environment.trim(), value: value.trim() },
          ...(newLabel !== undefined && { label: newLabel }),
          ...(needsOrigin && { origin: origin.trim() }),
          skipTest: !testing,
        },
      }),
    onSuccess: async ({ secret, test }) => {
      setValue("");
      await refresh("secrets", "providers", "workspace");
      if (!fixed && test?.reason === "refused") {
        const place = { provider, environment: environment.trim() };
        props.onFirstRefused({ ...place, existing: { ...secret, label: label.trim() } });
        return;
      }
      if (test !== null) sayTest(say, { provider, environment }, test);
      else {
        say(`${provider}/${environment}: version ${secret.version} is active`, {
          text: `${secret.masked}, not tested`,
        });
      }
      if (fixed) props.onRotated(secret);
      else onClose();
    },
    onError: async (error) => {
      if (!(error instanceof ApiProblem) || error.candidate === undefined) return;
      setValue("");
      await refresh("secrets");
      props.onWaiting({
        name: `${provider}/${environment.trim()}`,
        candidate: error.candidate,
        label: newLabel,
        refused: error.code === "key_refused",
        why: error.message,
      });
    },
  });
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
          <EnvironmentField
            label="Environment"
            value={environment}
            onValue={setEnvironment}
            suggestions={workspace?.environments}
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
        label="Test it with a free call to the provider"
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
