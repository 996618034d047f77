// The kill switch of the workspace: suspends and resumes all agents, with a banner on every page meanwhile.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Workspace } from "../../contract/client.ts";
import { useAgentCount, useOverview, useRefresh, useWorkspace } from "../queries.ts";
import { useCall, useMay } from "../session.tsx";
import { counted } from "../time.ts";
import { Button } from "./button.tsx";
import { Modal } from "./dialog.tsx";
import { describeError, FormError } from "./field.tsx";
import { Icon } from "./icon.tsx";
import { Section } from "./page.tsx";
import { useSay } from "./toasts.tsx";
import { When } from "./when.tsx";

/** The banner while all agents are suspended. It appears without moving the page. */
export function SuspensionBanner() {
  const maySee = useMay("viewer");
  const mayResume = useMay("admin");
  const { data: workspace } = useWorkspace(maySee);
  const resume = useResumeAll();
  const at = workspace?.agentsSuspendedAt ?? null;
  if (at === null) return null;
  return (
    <footer className="banner">
      <Icon name="warning" />
      <p role="status">
        <strong>All agents are suspended</strong> (<When at={at} />)
        {!mayResume && ". Admins can resume them."}
      </p>
      {mayResume && (
        <Button small busy={resume.isPending} onClick={() => resume.mutate()}>
          Resume them
        </Button>
      )}
    </footer>
  );
}

export function Emergency({ workspace }: { workspace: Workspace }) {
  const [asking, setAsking] = useState(false);
  const resume = useResumeAll();
  const suspended = workspace.agentsSuspendedAt !== null;
  return (
    <Section
      title="Emergency"
      intro="Within a second the calls of all agents are refused, and open streams and WebSockets are cut. Tokens, scopes and keys stay."
    >
      <Button
        kind={suspended ? "plain" : "danger"}
        busy={resume.isPending}
        onClick={() => (suspended ? resume.mutate() : setAsking(true))}
      >
        {suspended ? "Resume all agents" : "Suspend all agents"}
      </Button>
      <SuspendAllDialog open={asking} onClose={() => setAsking(false)} />
    </Section>
  );
}

function SuspendAllDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Modal
      open={open}
      onClose={onClose}
      title="Suspend all agents?"
      description="Their calls are refused and what is open is cut, within a second, until somebody resumes them."
      size="small"
    >
      <SuspendAllForm onClose={onClose} />
    </Modal>
  );
}

function SuspendAllForm({ onClose }: { onClose: () => void }) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const suspend = useMutation({
    mutationFn: () => call("POST /workspace/suspend"),
    onSuccess: async () => {
      await refresh("workspace", "agents");
      onClose();
      say("Suspended all agents", { text: "Their calls are refused." });
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!suspend.isPending) suspend.mutate();
      }}
    >
      <Extent />
      <FormError error={suspend.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="danger" type="submit" data-initial-focus busy={suspend.isPending}>
          Suspend all agents
        </Button>
      </div>
    </form>
  );
}

/** How many agents it stops, if that is already known. The user need not wait for it. */
function Extent() {
  const agents = useAgentCount();
  const { data: overview } = useOverview(24);
  const open = overview?.totals.activeStreams;
  return (
    <p>
      <strong>{agents.total === null ? "All agents" : counted(agents.total, "agent")}</strong>
      {open !== undefined && `, with at most ${counted(open, "open stream")} a moment ago`}.
    </p>
  );
}

function useResumeAll() {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  return useMutation({
    mutationFn: () => call("POST /workspace/resume"),
    onSuccess: async () => {
      await refresh("workspace", "agents");
      say("Agents go on", { text: "But for those that are suspended by themselves." });
    },
    onError: (error) => say("Still suspended", { text: describeError(error), bad: true }),
  });
}
