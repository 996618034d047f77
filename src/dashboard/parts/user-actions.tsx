// An owner's actions on users: invite, change rights, make a reset link. Links are shown once, to be passed on.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Role, User } from "../../contract/client.ts";
import { useRefresh } from "../queries.ts";
import { useCall, useMe } from "../session.tsx";
import { Button } from "./button.tsx";
import { CopyLine } from "./copy.tsx";
import { Modal, useKept } from "./dialog.tsx";
import { CheckField, Field, FormError } from "./field.tsx";
import { OnceDialog } from "./once-dialog.tsx";
import { RoleFields, type Rights } from "./role-fields.tsx";
import { Note } from "./states.tsx";
import { useSay } from "./toasts.tsx";

interface Made {
  readonly email: string;
  readonly url: string;
}

export function InviteDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <OnceDialog<Made>
      open={open}
      onClose={onClose}
      title="Invite somebody"
      form={(onMade) => <InviteForm onCancel={onClose} onMade={onMade} />}
      shown={({ email, url }) => ({
        title: "The invitation is ready",
        description: `Pass this link on to ${email}. It works once, for 72 hours, and is shown only now.`,
        content: <CopyLine text={url} what="invitation link" />,
      })}
    />
  );
}

function InviteForm(props: { onCancel: () => void; onMade: (made: Made) => void }) {
  const call = useCall();
  const refresh = useRefresh();
  const [email, setEmail] = useState("");
  const [rights, setRights] = useState<Rights>({ role: "viewer", agents: null });
  const invite = useMutation({
    mutationFn: () => call("POST /invitations", { body: { email: email.trim(), ...sent(rights) } }),
    onSuccess: ({ url }) => {
      props.onMade({ email: email.trim(), url });
      void refresh("invitations");
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!invite.isPending) invite.mutate();
      }}
    >
      <Field
        label="E-mail"
        type="email"
        autoComplete="off"
        maxLength={254}
        value={email}
        onValue={setEmail}
        required
        data-initial-focus
      />
      <RoleFields rights={rights} onRights={setRights} />
      <FormError error={invite.error} />
      <div className="dialog-actions">
        <Button onClick={props.onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" busy={invite.isPending}>
          Make the link
        </Button>
      </div>
    </form>
  );
}

/** In the API's form: without `agents` for every agent. */
export function sent({ role, agents }: Rights): { role: Role; agents?: readonly string[] } {
  return { role, ...(agents !== null && { agents }) };
}

interface UserDialogProps {
  readonly user: User | undefined;
  readonly onClose: () => void;
}

export function RightsDialog(props: UserDialogProps) {
  const { onClose } = props;
  const user = useKept(props.user);
  return (
    <Modal
      open={props.user !== undefined}
      onClose={onClose}
      title="Change the role"
      description={user?.email}
    >
      {user && <RightsForm user={user} onClose={onClose} />}
    </Modal>
  );
}

function RightsForm({ user, onClose }: { user: User; onClose: () => void }) {
  const me = useMe();
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const [rights, setRights] = useState<Rights>(user);
  const change = useMutation({
    mutationFn: () =>
      call("PATCH /users/:id", {
        params: { id: user.id },
        body: { role: rights.role, agents: rights.agents },
      }),
    onSuccess: async () => {
      await refresh("users");
      onClose();
      say(`${user.email} is ${rights.role}`);
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!change.isPending) change.mutate();
      }}
    >
      {user.id === me.id && (
        <Note tone="warn">This is your own account. You may lose the right to change it back.</Note>
      )}
      <RoleFields rights={rights} onRights={setRights} />
      <FormError error={change.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" type="submit" busy={change.isPending}>
          Save
        </Button>
      </div>
    </form>
  );
}

export function ResetDialog(props: UserDialogProps) {
  const { onClose } = props;
  const user = useKept(props.user);
  if (user === undefined) return null;
  return (
    <OnceDialog<string>
      open={props.user !== undefined}
      onClose={onClose}
      title="Make a reset link"
      description={`With it ${user.email} chooses a new password. Make sure that it is them who ask.`}
      form={(onMade) => <ResetForm user={user} onCancel={onClose} onMade={onMade} />}
      shown={(url) => ({
        title: "The reset link is ready",
        description: `Pass it on to ${user.email}. It works once, for 24 hours, and is shown only now.`,
        content: <CopyLine text={url} what="reset link" />,
      })}
    />
  );
}

function ResetForm(props: { user: User; onCancel: () => void; onMade: (url: string) => void }) {
  const { user, onCancel, onMade } = props;
  const call = useCall();
  const refresh = useRefresh();
  const [secondFactor, setSecondFactor] = useState(false);
  const reset = useMutation({
    mutationFn: () =>
      call("POST /users/:id/reset", { params: { id: user.id }, body: { secondFactor } }),
    onSuccess: ({ url }) => {
      onMade(url);
      void refresh("users");
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!reset.isPending) reset.mutate();
      }}
    >
      {user.secondFactor && (
        <CheckField
          label="Also remove the second factor, since the device is lost"
          checked={secondFactor}
          onValue={setSecondFactor}
        />
      )}
      <FormError error={reset.error} />
      <div className="dialog-actions">
        <Button onClick={onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" busy={reset.isPending}>
          Make the link
        </Button>
      </div>
    </form>
  );
}
