// What one agent may do. Everybody who may see the agent can read it; admins can change it. The proxy's refusals link here.
import { Link, useParams } from "react-router";
import { ApiProblem } from "../api.ts";
import type { Agent } from "../../contract/client.ts";
import { AgentBadges } from "../parts/agent-state.tsx";
import { ButtonLink } from "../parts/button.tsx";
import { Page } from "../parts/page.tsx";
import { ScopeForm } from "../parts/scope-form.tsx";
import { ScopeFacts } from "../parts/scope-view.tsx";
import { ErrorState, Missing, Skeleton } from "../parts/states.tsx";
import { agentPath, PATHS } from "../paths.ts";
import { useAgent, useProviders } from "../queries.ts";
import { useMay } from "../session.tsx";

export function AgentScopePage() {
  const { name = "" } = useParams();
  const { data: agent, error, refetch } = useAgent(name);
  const mayChange = useMay("admin");
  if (agent === undefined) {
    const unknown = error instanceof ApiProblem && error.status === 404;
    return (
      <Page title={`Scope of ${name}`}>
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
  return (
    <Page
      title={`Scope of ${agent.name}`}
      intro={
        <>
          <Link to={agentPath(agent.name)}>The agent</Link> may do what is allowed here and nothing
          else. <AgentBadges agent={agent} />
        </>
      }
    >
      {mayChange ? (
        <EditedScope key={agent.id} agent={agent} />
      ) : (
        <>
          <ScopeFacts scope={agent} />
          <p className="hint">Admins can change it.</p>
        </>
      )}
    </Page>
  );
}

function EditedScope({ agent }: { agent: Agent }) {
  const providers = useProviders();
  if (providers.error !== null) {
    return (
      <div className="card">
        <ErrorState error={providers.error} retry={providers.retry} />
      </div>
    );
  }
  if (providers.loading) {
    return (
      <div className="card form-card" aria-busy="true">
        <Skeleton width="20rem" />
      </div>
    );
  }
  return <ScopeForm agent={agent} providers={providers.rows} />;
}
