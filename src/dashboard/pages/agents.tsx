// Agents: the list, with what each may use and when it was last used.
import { useState } from "react";
import { Link, useSearchParams } from "react-router";
import type { Agent } from "../../contract/client.ts";
import { DeployDialog, DestroyAgentDialog } from "../parts/agent-actions.tsx";
import { AgentBadges } from "../parts/agent-state.tsx";
import { SuspendAgentDialog, SuspensionButton } from "../parts/agent-suspension.tsx";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { Page } from "../parts/page.tsx";
import { ScopeSummary } from "../parts/scope-view.tsx";
import { NothingFound, Search, useSought } from "../parts/search.tsx";
import { EmptyState, Note } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { When } from "../parts/when.tsx";
import { agentPath, scopePath } from "../paths.ts";
import { useAgents, useProviders } from "../queries.ts";
import { useMay, useMe } from "../session.tsx";
import { counted } from "../time.ts";

export function AgentsPage() {
  const me = useMe();
  const mayDeploy = useMay("operator");
  const sought = useSought();
  const agents = useAgents(sought);
  const providers = useProviders();
  const [query, setQuery] = useSearchParams();
  const [redeployed, setRedeployed] = useState<Agent | undefined>();
  const [destroyed, setDestroyed] = useState<Agent | undefined>();
  const [suspended, setSuspended] = useState<Agent | undefined>();
  const mayMake = mayDeploy && me.agents === null;
  const setDeploying = (deploying: boolean) =>
    setQuery(
      (before) => {
        const next = new URLSearchParams(before);
        if (deploying) next.set("deploy", "");
        else next.delete("deploy");
        return next;
      },
      { replace: !deploying },
    );
  const deploy = () => setDeploying(true);

  const columns: Column<Agent>[] = [
    {
      title: "Agent",
      kind: "main",
      cell: (agent) => (
        <>
          <Link to={agentPath(agent.name)}>{agent.name}</Link> <AgentBadges agent={agent} />
          <div className="muted">{agent.environment}</div>
        </>
      ),
    },
    {
      title: "Scope",
      cell: (agent) => (
        <Link to={scopePath(agent.name)} className="scope-link">
          <span className="unseen">Scope of {agent.name}: </span>
          <ScopeSummary agent={agent} />
        </Link>
      ),
    },
    { title: "Last used", cell: (agent) => <When at={agent.lastUsedAt} /> },
    {
      title: "In 24 h",
      kind: "number",
      cell: (agent) => (
        <>
          {counted(agent.requests24h, "request")}
          {agent.refusals24h > 0 && (
            <div className="warn-text">{counted(agent.refusals24h, "refusal")}</div>
          )}
        </>
      ),
    },
    {
      title: "Token ends",
      cell: (agent) => <When at={agent.expiresAt} />,
    },
    {
      title: "Actions",
      kind: "actions",
      cell: (agent) =>
        mayDeploy && (
          <>
            <Button
              small
              onClick={() => setRedeployed(agent)}
              aria-label={`Redeploy ${agent.name}`}
            >
              Redeploy
            </Button>
            <SuspensionButton agent={agent} onSuspend={() => setSuspended(agent)} named />
            <Button
              small
              kind="quiet"
              onClick={() => setDestroyed(agent)}
              aria-label={`Destroy … ${agent.name}`}
            >
              Destroy …
            </Button>
          </>
        ),
    },
  ];

  return (
    <Page
      title="Agents"
      intro="Each has a token of its own in place of the real keys."
      actions={
        mayMake && (
          <Button kind="primary" onClick={deploy}>
            <Icon name="plus" /> Deploy an agent
          </Button>
        )
      }
    >
      {providers.error !== null && agents.error === null && (
        <Note tone="warn">
          <span role="alert">The providers could not be loaded, so no agent can be deployed.</span>{" "}
          <Button small onClick={providers.retry}>
            Try again
          </Button>
        </Note>
      )}
      <Search label="Search the agents" placeholder="Name or environment" />
      <DataTable
        label="Agents"
        columns={columns}
        list={agents}
        rowKey={(agent) => agent.id}
        empty={
          sought !== "" ? (
            <NothingFound sought={sought} />
          ) : (
            <EmptyState
              title="No agents yet"
              action={mayMake && <Button onClick={deploy}>Deploy the first one</Button>}
            >
              Deploying one gives it a token, and shows what to set so that it uses it.
            </EmptyState>
          )
        }
      />
      <DeployDialog
        open={query.has("deploy") && mayMake && !providers.loading && providers.error === null}
        onClose={() => setDeploying(false)}
        providers={providers.rows}
      />
      <DeployDialog
        open={redeployed !== undefined}
        onClose={() => setRedeployed(undefined)}
        providers={providers.rows}
        agent={redeployed}
      />
      <SuspendAgentDialog agent={suspended} onClose={() => setSuspended(undefined)} />
      <DestroyAgentDialog agent={destroyed} onClose={() => setDestroyed(undefined)} />
    </Page>
  );
}
