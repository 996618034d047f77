// One agent: what it may do, how it is used, how to connect it, its latest activity.
import { useState, type ComponentProps } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { ApiProblem } from "../api.ts";
import type { Agent } from "../../contract/client.ts";
import { ActivityTable } from "../parts/activity-table.tsx";
import { DeployDialog, DestroyAgentDialog } from "../parts/agent-actions.tsx";
import { AgentBadges } from "../parts/agent-state.tsx";
import { SuspendAgentDialog, SuspensionButton } from "../parts/agent-suspension.tsx";
import { Button, ButtonLink } from "../parts/button.tsx";
import { Facts } from "../parts/facts.tsx";
import { Page, Section } from "../parts/page.tsx";
import { Registrations } from "../parts/registrations.tsx";
import { ScopeSummary } from "../parts/scope-view.tsx";
import { Snippets } from "../parts/snippets.tsx";
import { ErrorState, Missing, Note } from "../parts/states.tsx";
import { When } from "../parts/when.tsx";
import { PATHS, scopePath } from "../paths.ts";
import { useActivity, useAgent, useProviders } from "../queries.ts";
import { useMay } from "../session.tsx";
import { PLACEHOLDER, usableProviders } from "../snippets.ts";
import { counted, ZONE_TEXT } from "../time.ts";

const RECENT = 20;

export function AgentPage() {
  const { name = "" } = useParams();
  const { data: agent, error, refetch } = useAgent(name);
  if (agent === undefined) {
    const unknown = error instanceof ApiProblem && error.status === 404;
    return (
      <Page title={name}>
        <Missing
          error={unknown ? null : error}
          retry={() => void refetch()}
          loading={error === null}
          title="There is no such agent"
          action={<ButtonLink to={PATHS.agents}>All agents</ButtonLink>}
        />
      </Page>
    );
  }
  return <AgentDetail agent={agent} />;
}

function AgentDetail({ agent }: { agent: Agent }) {
  const mayDeploy = useMay("operator");
  const navigate = useNavigate();
  const providers = useProviders();
  const activity = useActivity({ agent: agent.name });
  const [redeploying, setRedeploying] = useState(false);
  const [suspending, setSuspending] = useState(false);
  const [destroying, setDestroying] = useState(false);
  const all = `${PATHS.activity}?${new URLSearchParams({ agent: agent.name }).toString()}`;
  return (
    <Page
      title={agent.name}
      intro={<Link to={PATHS.agents}>All agents</Link>}
      actions={
        <>
          <ButtonLink to={scopePath(agent.name)} small>
            Scope
          </ButtonLink>
          {mayDeploy && (
            <>
              <SuspensionButton agent={agent} onSuspend={() => setSuspending(true)} />
              <Button kind="primary" small onClick={() => setRedeploying(true)}>
                Redeploy
              </Button>
              <Button kind="danger" small onClick={() => setDestroying(true)}>
                Destroy …
              </Button>
            </>
          )}
        </>
      }
    >
      {agent.suspendedAt !== null && (
        <Note tone="bad">
          <strong>Suspended</strong> <When at={agent.suspendedAt} />: its calls are refused.
        </Note>
      )}
      <Facts facts={factsOf(agent)} />
      <Section
        title="Connect"
        intro="The token was shown once, when the agent was deployed. Redeploy it to get a new one."
      >
        {providers.error !== null ? (
          <ErrorState error={providers.error} retry={providers.retry} />
        ) : (
          !providers.loading && (
            <Snippets
              agent={agent}
              token={PLACEHOLDER}
              providers={usableProviders(agent, providers.rows)}
            />
          )
        )}
      </Section>
      <Registrations agent={agent} providers={providers.rows} />
      <Section title="Lately" intro={ZONE_TEXT} actions={<Link to={all}>All of its activity</Link>}>
        <ActivityTable
          list={{ ...activity, rows: activity.rows.slice(0, RECENT), more: undefined }}
          withoutAgent
        />
      </Section>
      <DeployDialog
        open={redeploying}
        onClose={() => setRedeploying(false)}
        providers={providers.rows}
        agent={agent}
      />
      <SuspendAgentDialog
        agent={suspending ? agent : undefined}
        onClose={() => setSuspending(false)}
      />
      <DestroyAgentDialog
        agent={destroying ? agent : undefined}
        onClose={() => setDestroying(false)}
        onDestroyed={() => void navigate(PATHS.agents, { replace: true })}
      />
    </Page>
  );
}

function factsOf(agent: Agent): ComponentProps<typeof Facts>["facts"] {
  const none = <span className="muted">none</span>;
  return [
    ["Environment", agent.environment],
    ["Scope", <ScopeSummary key="scope" agent={agent} />],
    ["Has used", agent.providersUsed.length === 0 ? none : agent.providersUsed.join(", ")],
    [
      "Last used",
      <span key="used">
        <When at={agent.lastUsedAt} /> <AgentBadges agent={agent} />
      </span>,
    ],
    [
      "In the last 24 hours",
      `${counted(agent.requests24h, "request")}, ${counted(agent.refusals24h, "refusal")}`,
    ],
    [
      "Deployment",
      <span key="deployment">
        {agent.deployment}, <When at={agent.deployedAt} />
      </span>,
    ],
    ["Token ends", <When key="ends" at={agent.expiresAt} />],
  ];
}
