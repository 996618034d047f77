// A dry run before saving: which calls of the last day the changed scope would have refused.
import type { DryRun } from "../../contract/client.ts";
import { listOf } from "../queries.ts";
import { counted, number } from "../time.ts";
import { Button } from "./button.tsx";
import { Modal, useKept } from "./dialog.tsx";
import { FormError } from "./field.tsx";
import { EmptyState, Note } from "./states.tsx";
import { DataTable, type Column } from "./table.tsx";
import { When } from "./when.tsx";

type Example = DryRun["examples"][number];

const REASONS: Readonly<Record<string, string | undefined>> = {
  provider_not_allowed: "its provider is not allowed",
  path_not_allowed: "no rule allows it",
  sensitive_endpoint: "a sensitive endpoint",
  address_not_allowed: "its address is not allowed",
  scope_expired: "the scope has ended",
};

const COLUMNS: readonly Column<Example>[] = [
  {
    title: "Call",
    kind: "main",
    cell: ({ method, provider, path }) => (
      <code className="break">
        {method} /{provider}
        {path === "" ? " (path not known)" : path}
      </code>
    ),
  },
  {
    title: "From",
    cell: ({ address }) =>
      address === "" ? <span className="muted">not known</span> : <code>{address}</code>,
  },
  { title: "Why", cell: ({ reason }) => REASONS[reason] ?? reason },
  { title: "Calls", kind: "number", cell: ({ calls }) => number(calls) },
];

interface TrialDialogProps {
  readonly agent: string;
  readonly trial: DryRun | undefined;
  readonly onClose: () => void;
  readonly save: () => void;
  readonly saving: boolean;
  readonly error: Error | null;
}

export function TrialDialog(props: TrialDialogProps) {
  const { agent, onClose, saving } = props;
  const trial = useKept(props.trial);
  if (trial === undefined) return null;
  const { calls, refused, unknown, examples } = trial;
  const shown = examples.reduce((sum, each) => sum + each.calls, 0);
  return (
    <Modal
      open={props.trial !== undefined}
      onClose={onClose}
      size="large"
      title={
        calls === 0
          ? "There is nothing to try it on"
          : `This would have refused ${number(refused)} of ${counted(calls, "call")}`
      }
      description={
        calls === 0 ? (
          `${agent} made no call in the last day.`
        ) : (
          <>
            Of all that {agent} got through since <When at={trial.from} />.
          </>
        )
      }
    >
      {refused > 0 && refused + unknown >= calls && (
        <Note tone="warn">
          <strong>This would refuse all that the agent did.</strong> Saved like this, it does no
          work any more.
        </Note>
      )}
      {unknown > 0 && (
        <Note>
          Of {counted(unknown, "call")} it can’t be told: too little is known of their paths.
        </Note>
      )}
      {refused > 0 && (
        <>
          <DataTable
            label="Calls that would have been refused"
            columns={COLUMNS}
            list={listOf(examples)}
            rowKey={(each) => JSON.stringify(each)}
            empty={<EmptyState title="No examples" />}
          />
          {shown < refused && (
            <p className="hint">And {counted(refused - shown, "call")} of other kinds.</p>
          )}
        </>
      )}
      <p className="hint">
        Models and limits are not judged: it is not recorded which model a call was for, nor how
        many there were at once.
      </p>
      <FormError error={props.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Go on changing</Button>
        <Button kind={refused > 0 ? "danger" : "primary"} busy={saving} onClick={props.save}>
          {refused > 0 ? "Save all the same" : "Save"}
        </Button>
      </div>
    </Modal>
  );
}
