// Actions on an agent: deploy (the token is shown once) and destroy.
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { Link } from "react-router";
import type { Agent, AnswerOf, Provider } from "../../contract/client.ts";
import { ApiProblem } from "../api.ts";
import { scopePath } from "../paths.ts";
import { useNewAgents, useRefresh, useWorkspace } from "../queries.ts";
import { useCall, useMay } from "../session.tsx";
import { usableProviders } from "../snippets.ts";
import { counted } from "../time.ts";
import { Button } from "./button.tsx";
import { CopyLine } from "./copy.tsx";
import { DestructionDialog, useKept } from "./dialog.tsx";
import { Choices, Field, FormError, SelectField } from "./field.tsx";
import { EnvironmentField } from "./name-fields.tsx";
import { environmentOfNew, NewAgentsNote } from "./new-agents-note.tsx";
import { OnceDialog } from "./once-dialog.tsx";
import { ScopeSummary } from "./scope-view.tsx";
import { Segments } from "./segments.tsx";
import { Snippets } from "./snippets.tsx";
import { Note } from "./states.tsx";
import { useSay } from "./toasts.tsx";
import { When } from "./when.tsx";

interface DeployDialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly providers: readonly Provider[];
  /** The agent to redeploy. Undefined: a new agent. */
  readonly agent?: Agent | undefined;
}

/** A form; then the token, once. */
export function DeployDialog({ open, onClose, providers, agent }: DeployDialogProps) {
  const again = useKept(agent);
  return (
    <OnceDialog<AnswerOf<"POST /agents/:name/deployments">>
      open={open}
      onClose={onClose}
      title={again === undefined ? "Deploy an agent" : `Redeploy ${again.name}`}
      description={
        again === undefined
          ? "It gets a token of its own, which is worth something only at this proxy."
          : "It gets a new token. The one it has now stops working at once."
      }
      form={(onDeployed) => (
        <DeployForm
          agent={again}
          providers={providers}
          onCancel={onClose}
          onDeployed={onDeployed}
        />
      )}
      shown={(deployed) => ({
        title: `${deployed.agent.name} is deployed`,
        description: "This is its token. It is shown only now; only a hash of it is kept.",
        size: "large",
        content: (
          <>
            <CopyLine text={deployed.token} what="token" />
            <Snippets
              agent={deployed.agent}
              token={deployed.token}
              providers={usableProviders(deployed.agent, providers)}
            />
          </>
        ),
      })}
    />
  );
}

const LIVES = [
  ["", "without end"],
  ["3600", "1 hour"],
  ["43200", "12 hours"],
  ["86400", "1 day"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
  ["7776000", "90 days"],
] as const;
const SAME = "same";

interface DeployFormProps {
  readonly agent: Agent | undefined;
  readonly providers: readonly Provider[];
  readonly onCancel: () => void;
  readonly onDeployed: (deployment: AnswerOf<"POST /agents/:name/deployments">) => void;
}

function DeployForm({ agent, providers, onCancel, onDeployed }: DeployFormProps) {
  const call = useCall();
  const refresh = useRefresh();
  const { data: workspace } = useWorkspace();
  const [name, setName] = useState(agent?.name ?? "");
  const { data: newAgents } = useNewAgents();
  // The initial choice: the agent's own scope, or what the workspace gives new agents.
  const given = (agent ?? newAgents)?.providers ?? null;
  const [typed, setEnvironment] = useState<string | undefined>();
  const environment = typed ?? agent?.environment ?? environmentOfNew(newAgents);
  const suggestions = (agent ? undefined : newAgents?.environments) ?? workspace?.environments;
  const [isSome, setSome] = useState<boolean | undefined>();
  const some = isSome ?? given !== null;
  const [selected, setChosen] = useState<readonly string[] | undefined>();
  const chosen = selected ?? given ?? [];
  const isProvidersTouched = isSome !== undefined || selected !== undefined;
  const [endpoints, setEndpoints] = useState<readonly string[]>(agent?.allowedEndpoints ?? []);
  const [life, setLife] = useState<string>(agent === undefined ? "" : SAME);
  const [asked, setAsked] = useState(false);
  const isAdmin = useMay("admin");
  // Below admin, the API accepts no other scope for an existing agent.
  const fixed = agent !== undefined && !isAdmin;
  const nothing = isProvidersTouched && some && chosen.length === 0;
  // The same key for every try of this form: a lost answer can be requested again.
  const [idempotencyKey] = useState(newIdempotencyKey);
  // A name that was free before the first try counts as free: the first try may have made the agent.
  const free = useRef<string>(undefined);
  const [taken, setTaken] = useState<string | undefined>();
  const isTaken = async (): Promise<boolean> => {
    if (agent !== undefined || free.current === name.trim()) return false;
    try {
      await call("GET /agents/:name", { params: { name: name.trim() } });
      return true;
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 404) throw error;
      free.current = name.trim();
      return false;
    }
  };
  const deploy = useMutation({
    mutationFn: async () => {
      if (await isTaken()) return undefined;
      return await call("POST /agents/:name/deployments", {
        params: { name: name.trim() },
        idempotencyKey,
        body: {
          // Send only changed parts. The others stay as they are, or as new agents get them.
          ...(typed !== undefined && { environment: environment.trim() }),
          ...(isProvidersTouched && { providers: some ? chosen : null }),
          ...(isAdmin && { allowedEndpoints: endpoints }),
          ...(life !== SAME && { ttlSeconds: life === "" ? null : Number(life) }),
        },
      });
    },
    onSuccess: (deployment) => {
      if (deployment === undefined) {
        setTaken(name.trim());
        return;
      }
      onDeployed(deployment);
      void refresh("agents", "workspace");
    },
  });
  const sensitive = (isAdmin ? providers : [])
    .filter((provider) => !some || chosen.includes(provider.name))
    .flatMap((provider) => provider.sensitiveEndpoints);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setAsked(true);
        if (!deploy.isPending && !nothing) deploy.mutate();
      }}
    >
      <div className="fields-row">
        {agent === undefined && (
          <Field
            label="Name"
            value={name}
            onValue={setName}
            pattern="[a-z0-9][a-z0-9._\-]{0,62}"
            title="Lower-case letters, digits, dots, dashes and underscores"
            autoCapitalize="off"
            autoComplete="off"
            spellCheck={false}
            required
            error={
              taken !== undefined && taken === name.trim()
                ? "There is an agent of this name. Choose another, or redeploy that one."
                : undefined
            }
            data-initial-focus
          />
        )}
        {!fixed && (
          <EnvironmentField
            label="Environment"
            hint="Whose keys it uses."
            value={environment}
            onValue={setEnvironment}
            suggestions={suggestions}
          />
        )}
        <SelectField
          label="Its token lives"
          value={life}
          onValue={setLife}
          options={agent === undefined ? LIVES : [[SAME, "as long as before"], ...LIVES]}
        />
      </div>
      {agent === undefined && newAgents !== undefined && <NewAgentsNote newAgents={newAgents} />}
      {fixed ? (
        <FixedScope agent={agent} />
      ) : (
        <div className="field">
          <span className="label" aria-hidden="true">
            Providers
          </span>
          <Segments
            label="Providers"
            options={[
              ["all", "All of them"],
              ["some", "Only some"],
            ]}
            value={some ? "some" : "all"}
            onValue={(value) => setSome(value === "some")}
          />
        </div>
      )}
      {!fixed && some && (
        <Choices
          label="It may use"
          options={providers.map((provider) => [provider.name, provider.title])}
          chosen={chosen}
          onChosen={setChosen}
        />
      )}
      {sensitive.length > 0 && (
        <details className="advanced" open={endpoints.length > 0}>
          <summary>Endpoints that mint or list credentials: none, unless chosen</summary>
          <Choices
            label="It may also call"
            hint="With one of these an agent can get itself a real key. Few agents need any."
            options={sensitive.map((endpoint) => [endpoint, endpoint])}
            chosen={endpoints}
            onChosen={setEndpoints}
          />
        </details>
      )}
      {asked && nothing && (
        <p className="field-error" role="alert">
          Choose at least one provider.
        </p>
      )}
      <FormError error={deploy.error} />
      <div className="dialog-actions">
        <Button onClick={onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" busy={deploy.isPending}>
          {agent === undefined ? "Deploy" : "Redeploy"}
        </Button>
      </div>
    </form>
  );
}

/** What it may do, for users who can't change it. */
function FixedScope({ agent }: { agent: Agent }) {
  return (
    <div className="field">
      <span className="label">Scope</span>
      <p>
        In {agent.environment}: <ScopeSummary agent={agent} />
      </p>
      <p className="hint">
        It stays as it is; admins can change it. <Link to={scopePath(agent.name)}>The scope</Link>
      </p>
    </div>
  );
}

/** 128 random bits in hex. */
function newIdempotencyKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

interface DestroyProps {
  readonly agent: Agent | undefined;
  readonly onClose: () => void;
  readonly onDestroyed?: () => void;
}

export function DestroyAgentDialog(props: DestroyProps) {
  const { onClose, onDestroyed } = props;
  const agent = useKept(props.agent);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  if (agent === undefined) return null;
  return (
    <DestructionDialog
      open={props.agent !== undefined}
      onClose={onClose}
      title={`Destroy ${agent.name}?`}
      consequences={
        <>
          <p>
            Its token stops working at once, on every proxy within a second. Streams that are open
            are cut.
          </p>
          <Note tone={agent.requests24h > 0 ? "warn" : "plain"}>
            {agent.lastUsedAt === null ? (
              "It has never been used."
            ) : (
              <>
                It was last used <When at={agent.lastUsedAt} />, and made{" "}
                {counted(agent.requests24h, "request")} in the last 24 hours
                {agent.providersUsed.length > 0 && ` (${agent.providersUsed.join(", ")})`}.
              </>
            )}
          </Note>
        </>
      }
      name={agent.name}
      action="Destroy the agent"
      run={async () => {
        await call("DELETE /agents/:name", { params: { name: agent.name } });
        onDestroyed?.();
        await refresh("agents");
        say(`Destroyed ${agent.name}`, { text: "Its token no longer works." });
      }}
    />
  );
}
