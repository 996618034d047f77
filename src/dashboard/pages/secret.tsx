// One secret: its versions, and which agents were seen using each, since when.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { ApiProblem } from "../api.ts";
import type { Secret, SecretUse, SecretVersion } from "../../contract/client.ts";
import { Button, ButtonLink } from "../parts/button.tsx";
import { Modal, useKept } from "../parts/dialog.tsx";
import { Facts } from "../parts/facts.tsx";
import { FormError } from "../parts/field.tsx";
import { Page, Section } from "../parts/page.tsx";
import { CandidateDialog } from "../parts/candidate.tsx";
import { DeleteSecretDialog, TestButton } from "../parts/secret-actions.tsx";
import { SecretDialog } from "../parts/secret-dialog.tsx";
import { DueBadge, Misplaced, RefusalFacts } from "../parts/secret-state.tsx";
import { Badge, EmptyState, Missing, Skeleton } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { useSay } from "../parts/toasts.tsx";
import { When } from "../parts/when.tsx";
import { agentPath, PATHS } from "../paths.ts";
import { useProviders, useRefresh, useSecret, useUse, useVersions } from "../queries.ts";
import { useCall, useMay } from "../session.tsx";
import { counted, number } from "../time.ts";

export function SecretPage() {
  const { id = "" } = useParams();
  const { data: secret, error, refetch } = useSecret(id);
  if (secret === undefined) {
    const unknown = error instanceof ApiProblem && error.status === 404;
    return (
      <Page title="Secret">
        <Missing
          error={unknown ? null : error}
          retry={() => void refetch()}
          loading={error === null}
          title="There is no such secret"
          action={<ButtonLink to={PATHS.secrets}>All secrets</ButtonLink>}
        />
      </Page>
    );
  }
  return <SecretDetail secret={secret} />;
}

function SecretDetail({ secret }: { secret: Secret }) {
  const mayChange = useMay("admin");
  const navigate = useNavigate();
  const providers = useProviders();
  const versions = useVersions(secret.id);
  const use = useUse(secret.id);
  const [rotating, setRotating] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [chosen, setChosen] = useState<SecretVersion | undefined>();
  const [activated, setActivated] = useState<number | undefined>();

  const actionFor = ({ version }: SecretVersion) =>
    version < secret.version ? "Roll back" : "Go forward";

  const columns: Column<SecretVersion>[] = [
    {
      title: "Version",
      kind: "main",
      cell: ({ version, active, candidate }) => (
        <>
          {version} {active && <Badge tone="good">active</Badge>}
          {candidate && <Badge tone="warn">waits</Badge>}
        </>
      ),
    },
    { title: "Key", cell: ({ masked }) => <code className="nowrap">{masked}</code> },
    { title: "Saved", cell: ({ createdAt }) => <When at={createdAt} /> },
    {
      title: "Seen in use by",
      kind: "wide",
      cell: ({ version }) =>
        use.error !== null && use.rows.length === 0 ? (
          <span className="warn-text">could not be loaded</span>
        ) : use.loading ? (
          <Skeleton />
        ) : (
          <Users use={use.rows.filter((each) => each.version === version)} />
        ),
    },
    {
      title: "Actions",
      kind: "actions",
      cell: (version) =>
        mayChange &&
        !version.active &&
        (version.candidate ? (
          <>
            <TestButton secret={secret} version={version.version} />
            <Button
              small
              onClick={() => setActivated(version.version)}
              aria-label={`Activate … version ${version.version}`}
            >
              Activate …
            </Button>
          </>
        ) : (
          <Button
            small
            onClick={() => setChosen(version)}
            aria-label={`${actionFor(version)} to version ${version.version}`}
          >
            {actionFor(version)}
          </Button>
        )),
    },
  ];

  return (
    <Page
      title={`${secret.provider} in ${secret.environment}`}
      intro={<Link to={PATHS.secrets}>All secrets</Link>}
      actions={
        mayChange && (
          <>
            <TestButton secret={secret} />
            <Button kind="primary" small onClick={() => setRotating(true)}>
              Rotate
            </Button>
            <Button kind="danger" small onClick={() => setDeleting(true)}>
              Delete …
            </Button>
          </>
        )
      }
    >
      <Facts
        facts={[
          ["Active key", <code key="key">{secret.masked}</code>],
          ["Label", secret.label === "" ? <span className="muted">none</span> : secret.label],
          [
            "Goes only to",
            <span key="to">
              {secret.origin} <Misplaced misplaced={secret.misplaced} />
            </span>,
          ],
          [
            "Saved",
            <span key="saved">
              <When at={secret.updatedAt} /> <DueBadge dueAt={secret.dueAt} />
            </span>,
          ],
          ["Refused by the provider", <RefusalFacts key="refused" refusals={secret.refusals} />],
        ]}
      />
      <Section
        title="Versions"
        intro="A new value becomes a new version, and waits until the provider takes it. “Seen in use” shows whether agents have moved on to it."
      >
        <DataTable
          label="Versions"
          columns={columns}
          list={versions}
          rowKey={({ version }) => String(version)}
          empty={<EmptyState title="No versions" />}
          loadingRows={2}
        />
      </Section>
      <SecretDialog
        open={rotating}
        onClose={() => setRotating(false)}
        providers={providers.rows}
        provider={secret.provider}
        environment={secret.environment}
        existing={secret}
      />
      <DeleteSecretDialog
        secret={deleting ? secret : undefined}
        onClose={() => setDeleting(false)}
        onDeleted={() => void navigate(PATHS.secrets, { replace: true })}
      />
      <CandidateDialog
        secret={secret}
        version={activated}
        onClose={() => setActivated(undefined)}
      />
      <RollbackDialog secret={secret} to={chosen} onClose={() => setChosen(undefined)} />
    </Page>
  );
}

/** How many versions the table shows; older ones can be unfolded. */
const FEW = 5;

function Users({ use }: { use: readonly SecretUse[] }) {
  if (use.length === 0) return <span className="muted">nobody</span>;
  const latest = use.toSorted((a, b) => b.lastUsedAt.localeCompare(a.lastUsedAt));
  return (
    <>
      <UserList use={latest.slice(0, FEW)} />
      {latest.length > FEW && (
        <details className="hashes">
          <summary>and {counted(latest.length - FEW, "more agent")}</summary>
          <UserList use={latest.slice(FEW)} />
        </details>
      )}
    </>
  );
}

function UserList({ use }: { use: readonly SecretUse[] }) {
  return (
    <ul className="users-of">
      {use.map(({ agent, firstUsedAt, lastUsedAt, requests }) => (
        <li key={agent}>
          <Link to={agentPath(agent)}>{agent}</Link>{" "}
          <span className="muted" title={counted(requests, "request")}>
            first <When at={firstUsedAt} />, last <When at={lastUsedAt} />, {number(requests)}×
          </span>
        </li>
      ))}
    </ul>
  );
}

interface RollbackProps {
  readonly secret: Secret;
  readonly to: SecretVersion | undefined;
  readonly onClose: () => void;
}

function RollbackDialog(props: RollbackProps) {
  const { secret, onClose } = props;
  const to = useKept(props.to);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const rollback = useMutation({
    mutationFn: (version: number) =>
      call("POST /secrets/:id/rollback", { params: { id: secret.id }, body: { version } }),
    onSuccess: async ({ secret: { version, masked } }) => {
      await refresh("secrets");
      onClose();
      say(`${secret.provider}/${secret.environment}: version ${version} is active`, {
        text: masked,
      });
    },
  });
  if (to === undefined) return null;
  return (
    <Modal
      open={props.to !== undefined}
      onClose={onClose}
      title={`Make version ${to.version} active?`}
      description={
        <>
          Agents in {secret.environment} use <code>{to.masked}</code> within a second, in place of{" "}
          <code>{secret.masked}</code>. Make sure that the provider still takes it.
        </>
      }
      size="small"
    >
      <FormError error={rollback.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button
          kind="primary"
          busy={rollback.isPending}
          onClick={() => rollback.mutate(to.version)}
        >
          Make it active
        </Button>
      </div>
    </Modal>
  );
}
