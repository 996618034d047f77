// The installation's workspaces. Owners of the home workspace see all and make further ones; other owners see their own.
import { useState } from "react";
import type { WorkspaceSummary } from "../../contract/client.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { Section } from "../parts/page.tsx";
import { SettingsPage } from "../parts/settings-page.tsx";
import { Badge, EmptyState } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { When } from "../parts/when.tsx";
import {
  DeleteWorkspaceDialog,
  NewWorkspaceDialog,
  SetupLinkDialog,
} from "../parts/workspace-actions.tsx";
import { useWorkspaces } from "../queries.ts";
import { useMe } from "../session.tsx";
import { number, useNowMs } from "../time.ts";

type Act = "link" | "delete";

export function WorkspacesPage() {
  const me = useMe();
  const workspaces = useWorkspaces();
  const [making, setMaking] = useState(false);
  const [acting, setActing] = useState<{ act: Act; workspace: WorkspaceSummary } | undefined>();
  const done = () => setActing(undefined);
  const actingFor = (act: Act) => (acting?.act === act ? acting.workspace : undefined);
  // Only the home workspace shows others.
  const atHome = workspaces.rows.some(({ id, home }) => home || id !== me.workspace.id);

  const columns: Column<WorkspaceSummary>[] = [
    {
      title: "Workspace",
      kind: "main",
      cell: ({ id, name, home }) => (
        <>
          {name} {id === me.workspace.id && <Badge>yours</Badge>}{" "}
          {home && <Badge tone="good">home</Badge>}
        </>
      ),
    },
    { title: "Users", kind: "number", cell: ({ users }) => number(users) },
    { title: "Agents", kind: "number", cell: ({ agents }) => number(agents) },
    { title: "Keys", kind: "number", cell: ({ secrets }) => number(secrets) },
    { title: "Made", cell: ({ createdAt }) => <When at={createdAt} /> },
  ];
  const managing: Column<WorkspaceSummary>[] = [
    { title: "Set up", cell: (workspace) => <SetUp workspace={workspace} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: (workspace) => (
        <>
          {workspace.users === 0 && (
            <Button
              small
              onClick={() => setActing({ act: "link", workspace })}
              aria-label={`Renew link of ${workspace.name}`}
            >
              Renew link
            </Button>
          )}
          {!workspace.home && (
            <Button
              small
              kind="quiet"
              onClick={() => setActing({ act: "delete", workspace })}
              aria-label={`Delete … ${workspace.name}`}
            >
              Delete …
            </Button>
          )}
        </>
      ),
    },
  ];

  return (
    <SettingsPage title="Workspaces">
      <Section
        title={atHome ? "In this installation" : "Yours"}
        intro={
          atHome
            ? "Each has users, agents and keys of its own, and sees nothing of the others."
            : "New workspaces are made by an owner of the installation’s home workspace."
        }
        actions={
          atHome && (
            <Button kind="primary" onClick={() => setMaking(true)}>
              <Icon name="plus" /> New workspace
            </Button>
          )
        }
      >
        <DataTable
          label="Workspaces"
          columns={atHome ? [...columns, ...managing] : columns}
          list={workspaces}
          rowKey={({ id }) => id}
          empty={<EmptyState title="None" />}
          loadingRows={2}
        />
      </Section>
      <NewWorkspaceDialog open={making} onClose={() => setMaking(false)} />
      <SetupLinkDialog workspace={actingFor("link")} onClose={done} />
      <DeleteWorkspaceDialog workspace={actingFor("delete")} onClose={done} />
    </SettingsPage>
  );
}

/** Whether it has a user; if not, the state of the setup link. */
function SetUp({ workspace: { users, setupEndsAt } }: { workspace: WorkspaceSummary }) {
  const nowMs = useNowMs();
  if (users > 0) return <Badge tone="good">done</Badge>;
  const good = setupEndsAt !== null && Date.parse(setupEndsAt) > nowMs;
  return (
    <>
      <Badge tone="warn">waiting</Badge>
      <div className="muted nowrap">
        {good ? (
          <>
            link ends <When at={setupEndsAt} />
          </>
        ) : (
          "link has ended"
        )}
      </div>
    </>
  );
}
