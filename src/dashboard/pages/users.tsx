// Users and the invitations that are still open. For owners.
import { useState } from "react";
import type { Invitation, User } from "../../contract/client.ts";
import { Button } from "../parts/button.tsx";
import { DestructionDialog, useKept } from "../parts/dialog.tsx";
import { DeletedUsers } from "../parts/erasure.tsx";
import { Icon } from "../parts/icon.tsx";
import { Page, Section } from "../parts/page.tsx";
import { RoleText } from "../parts/role-fields.tsx";
import { Badge, EmptyState } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { useSay } from "../parts/toasts.tsx";
import { InviteDialog, ResetDialog, RightsDialog } from "../parts/user-actions.tsx";
import { When } from "../parts/when.tsx";
import { useInvitations, useRefresh, useUsers } from "../queries.ts";
import { useCall, useMe } from "../session.tsx";

type Act = "rights" | "reset" | "delete";

export function UsersPage() {
  const me = useMe();
  const users = useUsers();
  const [inviting, setInviting] = useState(false);
  const [acting, setActing] = useState<{ act: Act; user: User } | undefined>();
  const done = () => setActing(undefined);
  const actingFor = (act: Act) => (acting?.act === act ? acting.user : undefined);

  const columns: Column<User>[] = [
    {
      title: "User",
      kind: "main",
      cell: ({ id, email }) => (
        <>
          <span className="break">{email}</span> {id === me.id && <Badge>you</Badge>}
        </>
      ),
    },
    { title: "Role", cell: RoleText },
    {
      title: "Second factor",
      cell: ({ secondFactor }) =>
        secondFactor ? <Badge tone="good">on</Badge> : <Badge tone="warn">off</Badge>,
    },
    { title: "Last sign-in", cell: ({ lastSignInAt }) => <When at={lastSignInAt} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: (user) => (
        <>
          <Button
            small
            onClick={() => setActing({ act: "rights", user })}
            aria-label={`Change role of ${user.email}`}
          >
            Change role
          </Button>
          <Button
            small
            kind="quiet"
            onClick={() => setActing({ act: "reset", user })}
            aria-label={`Reset … ${user.email}`}
          >
            Reset …
          </Button>
          {user.id !== me.id && (
            <Button
              small
              kind="quiet"
              onClick={() => setActing({ act: "delete", user })}
              aria-label={`Delete … ${user.email}`}
            >
              Delete …
            </Button>
          )}
        </>
      ),
    },
  ];

  return (
    <Page
      title="Users"
      intro="Who may sign in, and what they may do."
      actions={
        <Button kind="primary" onClick={() => setInviting(true)}>
          <Icon name="plus" /> Invite somebody
        </Button>
      }
    >
      <DataTable
        label="Users"
        columns={columns}
        list={users}
        rowKey={({ id }) => id}
        empty={<EmptyState title="No users" />}
      />
      <Invitations />
      <DeletedUsers />
      <InviteDialog open={inviting} onClose={() => setInviting(false)} />
      <RightsDialog user={actingFor("rights")} onClose={done} />
      <ResetDialog user={actingFor("reset")} onClose={done} />
      <DeleteUserDialog user={actingFor("delete")} onClose={done} />
    </Page>
  );
}

function Invitations() {
  const invitations = useInvitations();
  const [chosen, setChosen] = useState<Invitation | undefined>();
  const revoked = useKept(chosen);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const columns: Column<Invitation>[] = [
    { title: "For", kind: "main", cell: ({ email }) => <span className="break">{email}</span> },
    { title: "Role", cell: RoleText },
    { title: "By", cell: ({ invitedBy }) => <span className="break">{invitedBy}</span> },
    { title: "Sent", cell: ({ createdAt }) => <When at={createdAt} /> },
    { title: "Ends", cell: ({ expiresAt }) => <When at={expiresAt} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: (invitation) => (
        <Button
          small
          onClick={() => setChosen(invitation)}
          aria-label={`Take back the invitation for ${invitation.email}`}
        >
          Take back
        </Button>
      ),
    },
  ];
  return (
    <Section title="Open invitations" intro="Each link works once, for 72 hours.">
      <DataTable
        label="Open invitations"
        columns={columns}
        list={invitations}
        rowKey={({ id }) => id}
        empty={<EmptyState title="Nobody is invited" />}
        loadingRows={1}
      />
      {revoked !== undefined && (
        <DestructionDialog
          open={chosen !== undefined}
          onClose={() => setChosen(undefined)}
          title="Take the invitation back?"
          consequences={<p>The link that {revoked.email} was given stops working.</p>}
          name={revoked.email}
          action="Take it back"
          run={async () => {
            await call("DELETE /invitations/:id", { params: { id: revoked.id } });
            await refresh("invitations");
            say("Taken back");
          }}
        />
      )}
    </Section>
  );
}

function DeleteUserDialog(props: { user: User | undefined; onClose: () => void }) {
  const { onClose } = props;
  const user = useKept(props.user);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  if (user === undefined) return null;
  return (
    <DestructionDialog
      open={props.user !== undefined}
      onClose={onClose}
      title={`Delete ${user.email}?`}
      consequences={
        <>
          <p>
            Their sessions end at once, and they can’t sign in any more. Agents and keys that they
            made stay; what they did stays in the audit, until they ask to be erased.
          </p>
          <p>
            {user.lastSignInAt === null ? (
              "They have never signed in."
            ) : (
              <>
                They last signed in <When at={user.lastSignInAt} />.
              </>
            )}
          </p>
        </>
      }
      name={user.email}
      action="Delete the user"
      run={async () => {
        await call("DELETE /users/:id", { params: { id: user.id } });
        await refresh("users");
        say(`Deleted ${user.email}`);
      }}
    />
  );
}
