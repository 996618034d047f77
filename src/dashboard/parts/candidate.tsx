// A candidate: a new key that the provider has not accepted. The user activates it anyway, or discards it.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Secret } from "../../contract/client.ts";
import type { ApiProblem } from "../api.ts";
import { useRefresh } from "../queries.ts";
import { useCall } from "../session.tsx";
import { Button } from "./button.tsx";
import { Modal, useKept } from "./dialog.tsx";
import { FormError } from "./field.tsx";
import { TypedNameField } from "./name-fields.tsx";
import { Note } from "./states.tsx";
import { useSay } from "./toasts.tsx";

export type Candidate = NonNullable<ApiProblem["candidate"]>;

interface CandidateProps {
  readonly candidate: Candidate;
  /** The secret's name, as in `openai/production`. It has to be typed if the provider refused the key. */
  readonly name: string;
  readonly refused: boolean;
  readonly why: string;
  readonly label?: string | undefined;
  readonly onActive: (secret: Secret) => void;
  readonly onClose: () => void;
}

export function CandidateForm(props: CandidateProps) {
  const { candidate, name, refused, label, onClose } = props;
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState(false);
  const params = { id: candidate.secret };
  const { version } = candidate;
  const activate = useMutation({
    mutationFn: () =>
      call("POST /secrets/:id/activate", {
        params,
        body: { version, ...(label !== undefined && { label }) },
      }),
    onSuccess: async ({ secret }) => {
      await refresh("secrets");
      say(`${name}: version ${version} is active`, {
        text: `${secret.masked}, which the provider has not taken`,
      });
      props.onActive(secret);
    },
  });
  const discard = useMutation({
    mutationFn: () => call("POST /secrets/:id/discard", { params, body: { version } }),
    onSuccess: async ({ secret }) => {
      await refresh("secrets");
      say(`${name}: the new key is thrown away`, {
        text: `Version ${secret.version} stays active.`,
      });
      onClose();
    },
  });
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const wanting = refused && typed !== name;
        setWrong(wanting);
        if (!wanting && !activate.isPending) activate.mutate();
      }}
    >
      <Note tone={refused ? "bad" : "warn"}>
        <p role="alert">{props.why}</p>
      </Note>
      {refused && (
        <TypedNameField
          to="activate it anyway"
          hint="Agents would get the provider’s refusal until you roll back."
          value={typed}
          onValue={setTyped}
          {...{ name, wrong }}
        />
      )}
      <FormError error={activate.error ?? discard.error} />
      <div className="dialog-actions">
        <Button kind="danger" type="submit" busy={activate.isPending}>
          {refused ? "Activate anyway" : "Activate untested"}
        </Button>
        <Button kind="primary" busy={discard.isPending} onClick={() => discard.mutate()}>
          Keep the old key
        </Button>
      </div>
    </form>
  );
}

interface DialogProps {
  readonly secret: Secret;
  /** The candidate's version. */
  readonly version: number | undefined;
  readonly onClose: () => void;
}

/** The same at a later time. The provider's answer is no longer known, so the name has to be typed. */
export function CandidateDialog(props: DialogProps) {
  const { secret, onClose } = props;
  const version = useKept(props.version);
  if (version === undefined) return null;
  return (
    <Modal
      open={props.version !== undefined}
      onClose={onClose}
      title={`Activate version ${version}?`}
    >
      <CandidateForm
        candidate={{ secret: secret.id, version }}
        name={`${secret.provider}/${secret.environment}`}
        refused
        why={`Version ${version} waits: the provider has not taken this key. Version ${secret.version} is active.`}
        onActive={onClose}
        onClose={onClose}
      />
    </Modal>
  );
}
