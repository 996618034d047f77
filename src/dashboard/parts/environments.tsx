// The workspace's environments: what each contains, and renaming one.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Environment } from "../../contract/client.ts";
import { useEnvironments, useRefresh } from "../queries.ts";
import { useCall, useMay } from "../session.tsx";
import { counted, number } from "../time.ts";
import { Button } from "./button.tsx";
import { Modal, useKept } from "./dialog.tsx";
import { FormError } from "./field.tsx";
import { EnvironmentField } from "./name-fields.tsx";
import { Section } from "./page.tsx";
import { EmptyState, Note } from "./states.tsx";
import { DataTable, type Column } from "./table.tsx";
import { useSay } from "./toasts.tsx";

export function Environments() {
  const mayRename = useMay("admin");
  const environments = useEnvironments();
  const [chosen, setChosen] = useState<Environment | undefined>();
  const renamed = useKept(chosen);
  const columns: Column<Environment>[] = [
    { title: "Environment", kind: "main", cell: ({ name }) => name },
    { title: "Keys", kind: "number", cell: ({ secrets }) => number(secrets) },
    { title: "Agents", kind: "number", cell: ({ agents }) => number(agents) },
    {
      title: "Actions",
      kind: "actions",
      cell: (environment) =>
        mayRename && (
          <Button
            small
            onClick={() => setChosen(environment)}
            aria-label={`Rename ${environment.name}`}
          >
            Rename
          </Button>
        ),
    },
  ];
  return (
    <Section
      title="Environments"
      intro="Agents use the keys of their own environment. One comes into being with its first key or agent, and goes with its last."
    >
      <div className="narrow-table">
        <DataTable
          label="Environments"
          columns={columns}
          list={environments}
          rowKey={({ name }) => name}
          empty={<EmptyState title="None yet" />}
          loadingRows={2}
        />
      </div>
      <Modal
        open={chosen !== undefined}
        onClose={() => setChosen(undefined)}
        title={`Rename ${renamed?.name ?? ""}`}
        description="Its keys and agents move together, and tokens stay as they are. Whatever deploys into it by name has to be told the new one."
      >
        {renamed && (
          <RenameForm
            environment={renamed}
            others={environments.rows.filter(({ name }) => name !== renamed.name)}
            onClose={() => setChosen(undefined)}
          />
        )}
      </Modal>
    </Section>
  );
}

interface RenameFormProps {
  readonly environment: Environment;
  readonly others: readonly Environment[];
  readonly onClose: () => void;
}

function RenameForm({ environment, others, onClose }: RenameFormProps) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const [typed, setTyped] = useState(environment.name);
  const name = typed.trim();
  const joined = others.find((other) => other.name === name);
  const rename = useMutation({
    mutationFn: () =>
      call("PATCH /environments/:name", {
        params: { name: environment.name },
        body: { name },
      }),
    onSuccess: async () => {
      await refresh("environments", "workspace", "secrets", "agents", "providers");
      onClose();
      say(`${environment.name} is now ${name}`);
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (name === environment.name) onClose();
        else if (!rename.isPending) rename.mutate();
      }}
    >
      <EnvironmentField label="New name" value={typed} onValue={setTyped} data-initial-focus />
      {joined !== undefined && (
        <Note tone="warn">
          There is an environment {joined.name} already, with {counted(joined.secrets, "key")} and{" "}
          {counted(joined.agents, "agent")}. The two become one: the agents of each use the keys of
          both, and nothing takes them apart again.
        </Note>
      )}
      <FormError error={rename.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" type="submit" busy={rename.isPending}>
          {joined === undefined ? "Rename" : "Make them one"}
        </Button>
      </div>
    </form>
  );
}
