// "Confirm that it is you": the dialog that opens if the API asks for a fresh proof, before the call is repeated.
import { useMutation } from "@tanstack/react-query";
import { useState, useSyncExternalStore } from "react";
import type { Me } from "../contract/client.ts";
import { ApiProblem } from "./api.ts";
import { Button } from "./parts/button.tsx";
import { Modal } from "./parts/dialog.tsx";
import { Field, FormError } from "./parts/field.tsx";
import { useCall, useRememberMe, useSession } from "./session.tsx";

/** Calls that need a proof wait here for one common dialog. */
export interface ProofDesk {
  /** Resolves once the proof is given. Rejects with ApiProblem `not_proved`. */
  ask(): Promise<void>;
  settle(proved: boolean): void;
  readonly asked: () => boolean;
  readonly subscribe: (changed: () => void) => () => void;
}

export function createProofDesk(): ProofDesk {
  let waiting: PromiseWithResolvers<void> | undefined;
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const changed of listeners) changed();
  };
  return {
    ask() {
      if (waiting === undefined) {
        waiting = Promise.withResolvers();
        tell();
      }
      return waiting.promise;
    },
    settle(proved) {
      const settled = waiting;
      waiting = undefined;
      tell();
      if (proved) settled?.resolve();
      else settled?.reject(new ApiProblem(0, "not_proved", "Nothing was changed."));
    },
    asked: () => waiting !== undefined,
    subscribe(changed) {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
  };
}

export function ProofDialog({ desk }: { desk: ProofDesk }) {
  const asked = useSyncExternalStore(desk.subscribe, desk.asked);
  const { data: me } = useSession();
  return (
    <Modal
      open={asked}
      onClose={() => desk.settle(false)}
      title="Confirm that it is you"
      description="This changes keys or rights, and your last proof is older than five minutes."
      size="small"
    >
      {me && <ProofForm me={me} desk={desk} />}
    </Modal>
  );
}

function ProofForm({ me, desk }: { me: Me; desk: ProofDesk }) {
  const call = useCall();
  const rememberMe = useRememberMe();
  const hasCodes = me.secondFactor?.enrolled === true;
  const [byCode, setByCode] = useState(false);
  const [changed, setChanged] = useState(false);
  const [value, setValue] = useState("");
  const prove = useMutation({
    mutationFn: () =>
      call("POST /me/proof", {
        body: byCode ? { code: value.trim() } : { password: value },
      }),
    onSuccess: ({ me: proved }) => {
      rememberMe(proved);
      desk.settle(true);
    },
    onError: () => setValue(""),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!prove.isPending) prove.mutate();
      }}
    >
      <input type="hidden" autoComplete="username" value={me.name} readOnly />
      {byCode ? (
        <Field
          key="code"
          label="Code of your authenticator app"
          inputMode="numeric"
          autoComplete="one-time-code"
          value={value}
          onValue={setValue}
          required
          data-initial-focus
          autoFocus={changed}
        />
      ) : (
        <Field
          key="password"
          label="Your password"
          type="password"
          autoComplete="current-password"
          value={value}
          onValue={setValue}
          required
          data-initial-focus
          autoFocus={changed}
        />
      )}
      <FormError error={prove.error} />
      <div className="dialog-actions">
        {hasCodes && (
          <Button
            kind="quiet"
            className="push-left"
            onClick={() => {
              setByCode(!byCode);
              setChanged(true);
              setValue("");
            }}
          >
            {byCode ? "Use the password" : "Use a code"}
          </Button>
        )}
        <Button onClick={() => desk.settle(false)}>Cancel</Button>
        <Button kind="primary" type="submit" busy={prove.isPending}>
          Confirm
        </Button>
      </div>
    </form>
  );
}
