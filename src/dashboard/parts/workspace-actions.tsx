// Actions of the home workspace's owners on workspaces: make one, renew its setup link, delete it. Links are shown once, to be passed on.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { WorkspaceSummary } from "../../contract/client.ts";
import { useRefresh } from "../queries.ts";
import { useCall } from "../session.tsx";
import { counted } from "../time.ts";
import { Button } from "./button.tsx";
import { CopyLine } from "./copy.tsx";
import { DestructionDialog, useKept } from "./dialog.tsx";
import { Field, FormError } from "./field.tsx";
import { OnceDialog } from "./once-dialog.tsx";
import { Note } from "./states.tsx";
import { useSay } from "./toasts.tsx";

interface Made {
  readonly name: string;
  readonly url: string;
}

const shownLink = ({ name, url }: Made) => ({
  title: `The setup link of ${name} is ready`,
  description:
    "Pass it on to whoever is to own the workspace. It works once, for 72 hours, and is shown only now.",
  content: <CopyLine text={url} what="setup link" />,
});

export function NewWorkspaceDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <OnceDialog<Made>
      open={open}
      onClose={onClose}
      title="New workspace"
      description="It has users, agents and keys of its own; you will not see into it. Its owner needs an e-mail address that is in no other workspace."
      form={(onMade) => <NewWorkspaceForm onCancel={onClose} onMade={onMade} />}
      shown={shownLink}
    />
  );
}

interface FormProps {
  readonly onCancel: () => void;
  readonly onMade: (made: Made) => void;
}

function NewWorkspaceForm({ onCancel, onMade }: FormProps) {
  const call = useCall();
  const refresh = useRefresh();
  const [typed, setTyped] = useState("");
  const name = typed.trim();
  const make = useMutation({
    mutationFn: () => call("POST /workspaces", { body: { name } }),
    onSuccess: ({ url }) => {
      onMade({ name, url });
      void refresh("workspaces");
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!make.isPending) make.mutate();
      }}
    >
      <Field
        label="Name"
        value={typed}
        onValue={setTyped}
        pattern="[a-z0-9][a-z0-9\-]{0,62}"
        title="Lower-case letters, digits and dashes"
        hint="Lower-case letters, digits and dashes. Its owners can change it."
        autoCapitalize="off"
        autoComplete="off"
        spellCheck={false}
        required
        data-initial-focus
      />
      <FormError error={make.error} />
      <div className="dialog-actions">
        <Button onClick={onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" busy={make.isPending}>
          Make it
        </Button>
      </div>
    </form>
  );
}

interface WorkspaceDialogProps {
  readonly workspace: WorkspaceSummary | undefined;
  readonly onClose: () => void;
}

export function SetupLinkDialog(props: WorkspaceDialogProps) {
  const { onClose } = props;
  const workspace = useKept(props.workspace);
  if (workspace === undefined) return null;
  return (
    <OnceDialog<Made>
      open={props.workspace !== undefined}
      onClose={onClose}
      title={`New setup link for ${workspace.name}`}
      description="The link before it stops working."
      form={(onMade) => <SetupLinkForm workspace={workspace} onCancel={onClose} onMade={onMade} />}
      shown={shownLink}
    />
  );
}

function SetupLinkForm({
  workspace,
  onCancel,
  onMade,
}: FormProps & { readonly workspace: WorkspaceSummary }) {
  const call = useCall();
  const refresh = useRefresh();
  const renew = useMutation({
    mutationFn: () => call("POST /workspaces/:id/setup-link", { params: { id: workspace.id } }),
    onSuccess: ({ url }) => {
      onMade({ name: workspace.name, url });
      void refresh("workspaces");
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!renew.isPending) renew.mutate();
      }}
    >
      <FormError error={renew.error} />
      <div className="dialog-actions">
        <Button onClick={onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" busy={renew.isPending}>
          Make the link
        </Button>
      </div>
    </form>
  );
}

export function DeleteWorkspaceDialog(props: WorkspaceDialogProps) {
  const { onClose } = props;
  const workspace = useKept(props.workspace);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  if (workspace === undefined) return null;
  const { id, name } = workspace;
  const losses = lossesOf(workspace);
  return (
    <DestructionDialog
      open={props.workspace !== undefined}
      onClose={onClose}
      title={`Delete ${name}?`}
      consequences={
        <>
          <p>
            {losses.length === 0
              ? "Nobody has used it yet. A setup link that was passed on stops working."
              : "All that is in it is deleted, and nothing brings it back:"}
          </p>
          {losses.length > 0 && (
            <>
              <ul className="losses">
                {losses.map(([what, effect]) => (
                  <li key={what}>
                    <strong>{what}</strong>: {effect}
                  </li>
                ))}
              </ul>
              <Note tone="warn">Make sure that its owners know.</Note>
            </>
          )}
        </>
      }
      name={name}
      action="Delete the workspace"
      run={async () => {
        await call("DELETE /workspaces/:id", { params: { id }, body: { name } });
        await refresh("workspaces");
        say(`Deleted ${name}`);
      }}
    />
  );
}

/** What is deleted with it: the numbers, and the consequences. */
function lossesOf({ users, agents, secrets }: WorkspaceSummary) {
  const all = [
    [
      agents,
      counted(agents, "agent"),
      "tokens stop working within a second, and open streams are cut.",
    ],
    [
      secrets,
      counted(secrets, "key"),
      "at the providers they stay valid until they are revoked there.",
    ],
    [users, counted(users, "user"), "sessions and API keys end at once."],
  ] as const;
  return all.filter(([count]) => count > 0).map(([, what, effect]) => [what, effect] as const);
}
