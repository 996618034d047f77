// The form of an agent's scope: all parts in one form. Changes take effect when it is saved.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ApiProblem } from "../api.ts";
import type { Agent, DryRun, Provider } from "../../contract/client.ts";
import { useRefresh, useWorkspace } from "../queries.ts";
import {
  changeOf,
  draftOf,
  emptyLists,
  LIMITS,
  type ListName,
  type ScopeDraft,
} from "../scope-draft.ts";
import { useCall } from "../session.tsx";
import { ZONE_TEXT } from "../time.ts";
import { Button } from "./button.tsx";
import { Choices, Field, FormError } from "./field.tsx";
import { LimitFields } from "./limit-fields.tsx";
import { LimitingParts, type PartProps } from "./limiting-parts.tsx";
import { EnvironmentField } from "./name-fields.tsx";
import { ScopePart, ScopeRow } from "./scope-part.tsx";
import { TrialDialog } from "./scope-trial.tsx";
import { Note } from "./states.tsx";
import { useSay } from "./toasts.tsx";
import { AskBeforeLeaving } from "./unsaved.tsx";

/** The part that an error of the API is about. */
const PARTS: Readonly<Record<string, ListName | "allowedEndpoints" | undefined>> = {
  provider_unknown: "providers",
  rule_invalid: "rules",
  model_invalid: "models",
  address_invalid: "addresses",
  endpoint_unknown: "allowedEndpoints",
};
const NOTHING_CHANGED = "Nothing is changed yet.";

interface ScopeFormProps {
  readonly agent: Agent;
  readonly providers: readonly Provider[];
}

export function ScopeForm({ agent, providers }: ScopeFormProps) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  // The scope when the form was opened, so that another user's change is not mistaken for one made here.
  const [before, setBefore] = useState(agent);
  const [draft, setDraft] = useState(() => draftOf(agent));
  const [environment, setEnvironment] = useState(agent.environment);
  const { data: workspace } = useWorkspace();
  const [asked, setAsked] = useState(false);
  const [trial, setTrial] = useState<DryRun | undefined>();
  const params = { name: agent.name };
  const tried = changeOf(draft, before);
  const change = {
    ...tried,
    ...(environment.trim() !== before.environment && { environment: environment.trim() }),
  };
  const same = Object.keys(change).length === 0;
  const empty = emptyLists(draft);

  const save = useMutation({
    mutationFn: () => call("PATCH /agents/:name/scope", { params, body: change }),
    onSuccess: async ({ agent: changed }) => {
      await refresh("agents", "workspace", "environments");
      const after = { ...agent, ...changed };
      begin(after);
      say(`Saved what ${agent.name} may do`, { text: "It holds within a second." });
    },
  });
  const attempt = useMutation({
    mutationFn: () => call("POST /agents/:name/scope/dry-run", { params, body: tried }),
    onSuccess: ({ dryRun }) => setTrial(dryRun),
  });
  const begin = (from: Agent) => {
    setBefore(from);
    setDraft(draftOf(from));
    setEnvironment(from.environment);
    setAsked(false);
    setTrial(undefined);
    attempt.reset();
  };
  const pending = save.isPending || attempt.isPending;
  const error = save.error ?? attempt.error;
  const wrong = error instanceof ApiProblem ? PARTS[error.code] : undefined;
  const errorOf = (name: ListName | "allowedEndpoints"): string | undefined => {
    if (wrong === name) return error?.message;
    return asked && empty.some((each) => each === name)
      ? "Give at least one, or choose “Not limited”. With none, every call is refused."
      : undefined;
  };
  const set = (part: Partial<ScopeDraft>) => setDraft({ ...draft, ...part });
  const run = (what: { mutate: () => void }) => {
    if (pending) return;
    setAsked(true);
    save.reset();
    attempt.reset();
    if (empty.length === 0 && !same) what.mutate();
  };
  const elsewhere =
    !pending &&
    (agent.environment !== before.environment ||
      Object.keys(changeOf(draftOf(agent), before)).length > 0);

  return (
    <>
      {elsewhere && (
        <Note tone="warn">
          Somebody else has changed this scope since it was opened here. What you save comes on top
          of it.{" "}
          <Button small onClick={() => begin(agent)}>
            Show theirs
          </Button>
        </Note>
      )}
      <form
        className="card scope-form"
        onSubmit={(event) => {
          event.preventDefault();
          const { submitter } = event.nativeEvent;
          run(submitter?.getAttribute("value") === "try" ? attempt : save);
        }}
      >
        <ScopeRow
          title="Environment"
          hint="Whose keys it uses. A trial on the last day doesn’t look at it."
        >
          <EnvironmentField
            label="It is in"
            value={environment}
            onValue={setEnvironment}
            suggestions={workspace?.environments}
          />
        </ScopeRow>
        <LimitingParts draft={draft} set={set} errorOf={errorOf} providers={providers} />
        <EndpointsPart
          draft={draft}
          set={set}
          error={errorOf("allowedEndpoints")}
          {...{ providers }}
        />
        <ScopePart
          title="End"
          hint="When all of this ends, whatever its token’s own end. Its calls are refused from then on."
          options={["Never", "At a time"]}
          limited={draft.end.limited}
          onLimited={(limited) => set({ end: { ...draft.end, limited } })}
        >
          <Field
            label="Ends"
            hint={ZONE_TEXT}
            type="datetime-local"
            value={draft.end.at}
            onValue={(at) => set({ end: { ...draft.end, at } })}
            required
          />
        </ScopePart>
        <ScopeRow
          title="Limits"
          hint="What is over one is refused, with the time to wait. Empty: no limit."
        >
          <LimitFields
            names={LIMITS}
            values={draft.limits}
            onValues={(limits) => set({ limits })}
          />
        </ScopeRow>
        <div className="scope-actions">
          <FormError error={wrong === undefined ? error : null} />
          {asked && same && !save.isSuccess && <p role="status">{NOTHING_CHANGED}</p>}
          <div className="dialog-actions">
            <Button type="submit" value="try" busy={attempt.isPending}>
              Try it on the last day
            </Button>
            <Button kind="primary" type="submit" value="save" busy={save.isPending}>
              Save
            </Button>
          </div>
        </div>
      </form>
      <AskBeforeLeaving when={!same} />
      <TrialDialog
        agent={agent.name}
        trial={trial}
        onClose={() => setTrial(undefined)}
        save={() => save.mutate()}
        saving={save.isPending}
        error={save.error}
      />
    </>
  );
}

function EndpointsPart({ draft, set, providers, error }: PartProps) {
  const { limited, values } = draft.allowedEndpoints;
  const offered = providers
    .filter(({ name }) => !draft.providers.limited || draft.providers.values.includes(name))
    .flatMap((provider) => provider.sensitiveEndpoints);
  const all = [...new Set([...offered, ...values])];
  return (
    <ScopePart
      title="Sensitive endpoints"
      hint="They mint or list credentials: with one of these an agent can get itself a real key. Few agents need any."
      options={["None", "Only these"]}
      limited={limited}
      onLimited={(next) => set({ allowedEndpoints: { limited: next, values } })}
      error={error}
    >
      {all.length === 0 ? (
        <p className="muted">Its providers have none.</p>
      ) : (
        <Choices
          label="It may also call"
          options={all.map((endpoint) => [endpoint, endpoint])}
          chosen={values}
          onChosen={(chosen) => set({ allowedEndpoints: { limited, values: chosen } })}
        />
      )}
    </ScopePart>
  );
}
