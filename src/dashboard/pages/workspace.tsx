// The workspace's own rules, which owners change, and its environments. For admins.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Workspace } from "../../contract/client.ts";
import { Button } from "../parts/button.tsx";
import { Emergency } from "../parts/emergency.tsx";
import { Environments } from "../parts/environments.tsx";
import { Facts } from "../parts/facts.tsx";
import { CheckField, Field, FormError } from "../parts/field.tsx";
import { LimitFields, Limits } from "../parts/limit-fields.tsx";
import { Section } from "../parts/page.tsx";
import {
  daysOf,
  retentionDraftOf,
  RetentionField,
  retentionText,
} from "../parts/retention-field.tsx";
import { SettingsPage } from "../parts/settings-page.tsx";
import { ErrorState, Skeleton } from "../parts/states.tsx";
import { useSay } from "../parts/toasts.tsx";
import { AskBeforeLeaving } from "../parts/unsaved.tsx";
import { useRefresh, useWorkspace } from "../queries.ts";
import { limitsOf, textOf } from "../scope-draft.ts";
import { refreshMe, useCall, useMay } from "../session.tsx";
import { counted } from "../time.ts";

const LIMITS = ["requestsPerMinute", "openStreams", "bytesPerMinute", "openWebsockets"] as const;

export function WorkspacePage() {
  const { data: workspace, error, refetch } = useWorkspace();
  const mayChange = useMay("owner");
  return (
    <SettingsPage title="Workspace">
      {workspace !== undefined ? (
        <>
          <Emergency workspace={workspace} />
          {mayChange ? <RulesForm workspace={workspace} /> : <Rules workspace={workspace} />}
          <Environments />
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
  const [unusedDays, setUnusedDays] = useState(textOf(workspace.unusedDays));
  const [retention, setRetention] = useState(() => retentionDraftOf(workspace));
  const [limits, setLimits] = useState({
    requestsPerMinute: textOf(workspace.limits.requestsPerMinute),
    openStreams: textOf(workspace.limits.openStreams),
    bytesPerMinute: textOf(workspace.limits.bytesPerMinute),
    openWebsockets: textOf(workspace.limits.openWebsockets),
  });
  const body = {
    name: name.trim(),
    secondFactorRequired: required,
    rotationDays: Number(rotationDays),
    idleDays: Number(idleDays),
    unusedDays: unusedDays.trim() === "" ? null : Number(unusedDays),
    auditRetentionDays: daysOf(retention),
    limits: limitsOf(limits),
  };
  const [saved, setSaved] = useState(JSON.stringify(body));
  const save = useMutation({
    mutationFn: () => call("PATCH /workspace", { body }),
    onSuccess: async () => {
      setSaved(JSON.stringify(body));
      await refresh("workspace", "workspaces", "secrets", "agents");
      refreshMe(client);
      say("Saved");
    },
  });
  return (
    <Section title="Rules">
      <AskBeforeLeaving when={JSON.stringify(body) !== saved} />
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
        <Field
          label="End tokens that are unused for this many days"
          hint="They end by themselves; redeploying the agent gives it a new one. Empty: never."
          type="number"
          min={1}
          max={3650}
          placeholder="never"
          value={unusedDays}
          onValue={setUnusedDays}
        />
        <RetentionField workspace={workspace} draft={retention} onDraft={setRetention} />
        <fieldset className="choices">
          <legend>Limits of all agents together</legend>
          <LimitFields names={LIMITS} values={limits} onValues={setLimits} />
        </fieldset>
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

/** The same, for those who can't change them. */
function Rules({ workspace }: { workspace: Workspace }) {
  return (
    <Section title="Rules" intro="Owners can change them.">
      <Facts
        facts={[
          ["Name", workspace.name],
          ["Rotate keys after", counted(workspace.rotationDays, "day")],
          ["Call an agent idle after", counted(workspace.idleDays, "day")],
          [
            "End unused tokens after",
            workspace.unusedDays === null ? "never" : counted(workspace.unusedDays, "day"),
          ],
          ["Keep the audit for", retentionText(workspace)],
          ["Limits of all agents together", <Limits key="limits" limits={workspace.limits} />],
          ["Second factor", workspace.secondFactorRequired ? "everybody needs one" : "optional"],
        ]}
      />
    </Section>
  );
}
