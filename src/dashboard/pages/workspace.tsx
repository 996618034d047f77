// The workspace's own rules. For owners.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, type Workspace } from "../answers.ts";
import { Button } from "../parts/button.tsx";
import { CheckField, Field, FormError } from "../parts/field.tsx";
import { Section } from "../parts/page.tsx";
import { SettingsPage } from "../parts/settings-page.tsx";
import { Badge, ErrorState, Skeleton } from "../parts/states.tsx";
import { useSay } from "../parts/toasts.tsx";
import { useRefresh, useWorkspace } from "../queries.ts";
import { refreshMe, useCall } from "../session.tsx";

export function WorkspacePage() {
  const { data: workspace, error, refetch } = useWorkspace();
  return (
    <SettingsPage title="Workspace">
      {workspace !== undefined ? (
        <>
          <RulesForm workspace={workspace} />
          <Environments names={workspace.environments} />
        </>
      ) : (
        <div className="card form-card">
          {error === null ? (
            <Skeleton width="20rem" />
          ) : (
            <ErrorState error={error} retry={() => void refetch()} />
          )}
        </div>
      )}
    </SettingsPage>
  );
}

function RulesForm({ workspace }: { workspace: Workspace }) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const client = useQueryClient();
  const [name, setName] = useState(workspace.name);
  const [required, setRequired] = useState(workspace.secondFactorRequired);
  const [rotationDays, setRotationDays] = useState(String(workspace.rotationDays));
  const [idleDays, setIdleDays] = useState(String(workspace.idleDays));
  const save = useMutation({
    mutationFn: () =>
      call(read.workspace, "PATCH", "/workspace", {
        body: {
          name: name.trim(),
          secondFactorRequired: required,
          rotationDays: Number(rotationDays),
          idleDays: Number(idleDays),
        },
      }),
    onSuccess: async () => {
      await refresh("workspace", "secrets", "agents");
      refreshMe(client);
      say("Saved");
    },
  });
  return (
    <Section title="Rules">
      <form
        className="card form-card"
        onSubmit={(event) => {
          event.preventDefault();
          if (!save.isPending) save.mutate();
        }}
      >
        <Field label="Name" maxLength={100} value={name} onValue={setName} required />
        <Field
          label="Rotate keys after this many days"
          hint="Older ones are shown as due. Nothing is rotated or ended by itself."
          type="number"
          min={1}
          max={3650}
          value={rotationDays}
          onValue={setRotationDays}
          required
        />
        <Field
          label="Call an agent idle after this many days"
          type="number"
          min={1}
          max={3650}
          value={idleDays}
          onValue={setIdleDays}
          required
        />
        <CheckField
          label="Everybody needs a second factor"
          hint="Whoever has none sets one up at the next step they take."
          checked={required}
          onValue={setRequired}
        />
        <FormError error={save.error} />
        <Button kind="primary" type="submit" busy={save.isPending}>
          Save
        </Button>
      </form>
    </Section>
  );
}

function Environments({ names }: { names: readonly string[] }) {
  return (
    <Section
      title="Environments"
      intro="An environment comes into being with its first key or agent, and goes with its last."
    >
      <div className="card form-card badges">
        {names.length === 0 && <span className="muted">None yet.</span>}
        {names.map((name) => (
          <Badge key={name}>{name}</Badge>
        ))}
      </div>
    </Section>
  );
}
