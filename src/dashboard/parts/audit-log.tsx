// The signed log: its latest checkpoint, exports, and where it begins.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { PrunedBefore } from "../../contract/client.ts";
import { useCall, useDownload } from "../session.tsx";
import { counted, exactTime, number } from "../time.ts";
import { Button } from "./button.tsx";
import { CodeBlock, CopyLine } from "./copy.tsx";
import { Modal } from "./dialog.tsx";
import { Icon } from "./icon.tsx";
import { saveFile } from "./save-file.ts";
import { ErrorNote, Skeleton } from "./states.tsx";
import { useSay } from "./toasts.tsx";

/** `params`: the page's filters. */
export function AuditLogActions({ params }: { params: Readonly<Record<string, string>> }) {
  const [open, setOpen] = useState(false);
  const download = useDownload();
  const say = useSay();
  const save = useMutation({
    mutationFn: (format: string) => download("GET /audit/export", { query: { format, ...params } }),
    onSuccess: ({ name, content }) => saveFile(name, content),
    onError: (error) => say("Nothing was exported", { text: error.message, bad: true }),
  });
  const exportAs = (format: "jsonl" | "csv", text: string) => (
    <Button
      busy={save.isPending && save.variables === format}
      onClick={() => {
        if (!save.isPending) save.mutate(format);
      }}
    >
      <Icon name="download" size={16} /> {text}
    </Button>
  );
  return (
    <>
      {exportAs("jsonl", "Export JSON Lines")}
      {exportAs("csv", "Export CSV")}
      <Button onClick={() => setOpen(true)}>Checkpoint</Button>
      <Modal
        open={open}
        onClose={() => setOpen(false)}
        size="large"
        title="The log’s last checkpoint"
        description="Signed size and root of the log. Kept elsewhere, it shows whether the log was rewritten or cut off later."
      >
        <Checkpoint />
        <div className="dialog-actions">
          <Button onClick={() => setOpen(false)}>Close</Button>
        </div>
      </Modal>
    </>
  );
}

function Checkpoint() {
  const call = useCall();
  const { data, error, refetch } = useQuery({
    queryKey: ["audit-checkpoint"],
    queryFn: ({ signal }) => call("GET /audit/checkpoint", { signal }),
    gcTime: 0,
    retry: false,
  });
  if (error !== null) return <ErrorNote error={error} retry={() => void refetch()} />;
  if (data === undefined) {
    return (
      <p aria-busy="true">
        <Skeleton width="60%" />
      </p>
    );
  }
  return (
    <div className="proof-parts">
      <p>
        {counted(data.size, "event")} sealed, {number(data.waiting)} waiting.
      </p>
      {data.checkpoint === null ? (
        <p>Nothing is sealed yet. That takes about a second.</p>
      ) : (
        <CodeBlock text={data.checkpoint} what="checkpoint" />
      )}
      <p>The key that verifies it. It is no secret; keep it elsewhere, too.</p>
      <CopyLine text={data.verifierKey} what="verifier key" />
      <p>To verify an export (JSON Lines) offline, with checkpoints that you kept:</p>
      <CodeBlock
        text={`npx x3sproxy audit verify audit.jsonl --checkpoint checkpoints \\\n  --key ${data.verifierKey}`}
        what="command"
      />
    </div>
  );
}

/** Shown below a list that is loaded to its end. */
export function PrunedNote({ pruned }: { pruned: PrunedBefore }) {
  return (
    <p className="muted pruned-note">
      Events before {exactTime(pruned.at)} were pruned under the retention of{" "}
      {counted(pruned.days, "day")}. Their {counted(pruned.index, "place")} in the signed log{" "}
      {pruned.index === 1 ? "stays" : "stay"}.
    </p>
  );
}
