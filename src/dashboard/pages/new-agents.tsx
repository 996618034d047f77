// What the workspace gives new agents. Only an admin can give an agent more. For admins.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { NewAgents, Provider } from "../../contract/client.ts";
import { Button } from "../parts/button.tsx";
import { FormError } from "../parts/field.tsx";
import { LimitFields } from "../parts/limit-fields.tsx";
import { LimitingParts } from "../parts/limiting-parts.tsx";
import { Section } from "../parts/page.tsx";
import { ListPart, ScopeRow } from "../parts/scope-part.tsx";
import { SettingsPage } from "../parts/settings-page.tsx";
import { ErrorState, Skeleton } from "../parts/states.tsx";
import { useSay } from "../parts/toasts.tsx";
import { useNewAgents, useProviders, useRefresh } from "../queries.ts";
import { draftOf, emptyLists, filled, LIMITS, limitsOf, type ListDraft } from "../scope-draft.ts";
import { useCall } from "../session.tsx";

const NONE = "Give at least one, or choose “Not limited”.";

export function NewAgentsPage() {
  const { data: newAgents, error, refetch } = useNewAgents();
  const providers = useProviders();
  const failure = error ?? providers.error;
  return (
    <SettingsPage title="New agents">
      {newAgents !== undefined && !providers.loading && providers.error === null ? (
        <Section
          title="What each may have at most"
          intro="A new agent begins with this, and gets more from an admin alone. Existing agents keep what they have. One that takes the name of a destroyed agent is held to what that one had, too."
        >
          <NewAgentsForm newAgents={newAgents} providers={providers.rows} />
        </Section>
      ) : (
        <div className="card form-card">
          {failure === null ? (
            <Skeleton width="20rem" />
          ) : (
            <ErrorState
              error={failure}
              retry={() => {
                void refetch();
                providers.retry();
              }}
            />
          )}
        </div>
      )}
    </SettingsPage>
  );
}

interface FormProps {
  readonly newAgents: NewAgents;
  readonly providers: readonly Provider[];
}

function NewAgentsForm({ newAgents, providers }: FormProps) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const [draft, setDraft] = useState(() =>
    draftOf({ ...newAgents, allowedEndpoints: [], scopeExpiresAt: null }),
  );
  const [environments, setEnvironments] = useState<ListDraft>({
    limited: newAgents.environments !== null,
    values: newAgents.environments ?? [],
  });
  const [asked, setAsked] = useState(false);
  const empty = emptyLists(draft);
  const inNone = environments.limited && filled(environments).length === 0;
  const valuesOf = (list: ListDraft) => (list.limited ? filled(list) : null);
  const save = useMutation({
    mutationFn: () =>
      call("PATCH /workspace/new-agents", {
        body: {
          environments: valuesOf(environments),
          providers: valuesOf(draft.providers),
          rules: valuesOf(draft.rules),
          models: valuesOf(draft.models),
          addresses: valuesOf(draft.addresses),
          limits: limitsOf(draft.limits),
        },
      }),
    onSuccess: async () => {
      await refresh("workspace");
      say("Saved what new agents get", { text: "It holds for the next one that is made." });
    },
  });
  return (
    <form
      className="card scope-form"
      onSubmit={(event) => {
        event.preventDefault();
        setAsked(true);
        if (!save.isPending && empty.length === 0 && !inNone) save.mutate();
      }}
    >
      <ListPart
        title="Environments"
        hint="Whose keys they may use. An agent of which nothing is said is in production, or in the first one of the list."
        item="Environment"
        placeholder="staging"
        pattern="\s*[a-z0-9][a-z0-9\-]{0,62}\s*"
        patternText="Lower-case letters, digits and dashes"
        draft={environments}
        onDraft={setEnvironments}
        error={asked && inNone ? NONE : undefined}
      />
      <LimitingParts
        draft={draft}
        set={(part) => setDraft({ ...draft, ...part })}
        errorOf={(name) => (asked && empty.includes(name) ? NONE : undefined)}
        providers={providers}
      />
      <ScopeRow title="Limits" hint="Of each agent, by itself. Empty: no limit.">
        <LimitFields
          names={LIMITS}
          values={draft.limits}
          onValues={(limits) => setDraft({ ...draft, limits })}
        />
      </ScopeRow>
      <div className="scope-actions">
        <FormError error={save.error} />
        <div className="dialog-actions">
          <Button kind="primary" type="submit" busy={save.isPending}>
            Save
          </Button>
        </div>
      </div>
    </form>
  );
}
