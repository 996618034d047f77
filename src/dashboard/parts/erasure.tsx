// Erases a deleted user from the audit, at that person's request. For owners.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useRefresh } from "../queries.ts";
import { useCall } from "../session.tsx";
import { counted } from "../time.ts";
import { Button } from "./button.tsx";
import { Modal } from "./dialog.tsx";
import { Field, FormError } from "./field.tsx";
import { Section } from "./page.tsx";
import { useSay } from "./toasts.tsx";

export function DeletedUsers() {
  const [open, setOpen] = useState(false);
  return (
    <Section
      title="Deleted users"
      intro="What they did stays in the audit under their name, until they ask to be erased."
      actions={<Button onClick={() => setOpen(true)}>Erase somebody …</Button>}
    >
      <Modal open={open} onClose={() => setOpen(false)} title="Erase a deleted user">
        <ErasureForm onClose={() => setOpen(false)} />
      </Modal>
    </Section>
  );
}

function ErasureForm({ onClose }: { onClose: () => void }) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const [user, setUser] = useState("");
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState(false);
  const erase = useMutation({
    mutationFn: () => call("POST /audit/erasures", { body: { user: user.trim() } }),
    onSuccess: async ({ erasure: { parts, waiting, others } }) => {
      await refresh("invitations", "api-keys", "secrets", "audit");
      onClose();
      if (parts + waiting + others === 0) say("There was nothing of them.");
      else if (waiting > 0) say(`Erased in part: ${counted(waiting, "part")} left. Do it again.`);
      else say(`Erased from ${counted(parts, "part")} of events`);
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setWrong(typed.trim() !== user.trim());
        if (typed.trim() === user.trim() && !erase.isPending) erase.mutate();
      }}
    >
      <div className="consequences">
        <p>
          Their name, id and address go out of all events, and their e-mail out of invitations,
          registrations, names of API keys, labels and contexts of calls. What was done, and when,
          stays, and the signed log still verifies.
        </p>
        <p>
          This can’t be undone. Backups, exports and the service’s log still have what they have.
        </p>
      </div>
      <Field
        label="E-mail or id"
        value={user}
        onValue={setUser}
        maxLength={254}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        required
        data-initial-focus
      />
      <Field
        label="The same again, to go on"
        value={typed}
        onValue={setTyped}
        error={wrong ? "This is not the same." : undefined}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
      />
      <FormError error={erase.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="danger" type="submit" busy={erase.isPending}>
          Erase for good
        </Button>
      </div>
    </form>
  );
}
