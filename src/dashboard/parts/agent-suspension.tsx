// The kill switch of one agent: suspend and resume. Its scope and token stay.
import { useMutation } from "@tanstack/react-query";
import type { Agent } from "../../contract/client.ts";
import { useRefresh } from "../queries.ts";
import { useCall } from "../session.tsx";
import { counted } from "../time.ts";
import { Button } from "./button.tsx";
import { Modal, useKept } from "./dialog.tsx";
import { describeError, FormError } from "./field.tsx";
import { useSay } from "./toasts.tsx";
import { When } from "./when.tsx";

interface SuspendProps {
  readonly agent: Agent | undefined;
  readonly onClose: () => void;
}

/** Asks only once: it may be an emergency, and nothing is lost. */
export function SuspendAgentDialog(props: SuspendProps) {
  const { onClose } = props;
  const agent = useKept(props.agent);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const suspend = useMutation({
    mutationFn: (name: string) => call("POST /agents/:name/suspend", { params: { name } }),
    onSuccess: async ({ agent: { name } }) => {
      await refresh("agents");
      onClose();
      say(`${name} is suspended`, { text: "Its calls are refused, the open ones were cut." });
    },
  });
  if (agent === undefined) return null;
  return (
    <Modal
      open={props.agent !== undefined}
      onClose={onClose}
      title={`Suspend ${agent.name}?`}
      description="Within a second its calls are refused, and its open streams and WebSockets are cut. It keeps its token and its scope, and can be resumed at any time."
      size="small"
    >
      <p>
        {agent.lastUsedAt === null ? (
          "It has never been used."
        ) : (
          <>
            It was last used <When at={agent.lastUsedAt} />, with{" "}
            {counted(agent.requests24h, "request")} in the last 24 hours.
          </>
        )}
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!suspend.isPending) suspend.mutate(agent.name);
        }}
      >
        <FormError error={suspend.error} />
        <div className="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger" type="submit" data-initial-focus busy={suspend.isPending}>
            Suspend it
          </Button>
        </div>
      </form>
    </Modal>
  );
}

interface SuspensionButtonProps {
  readonly agent: Agent;
  readonly onSuspend: () => void;
  /** In a list: the accessible name includes the agent's. */
  readonly named?: boolean;
}

/** One button for both actions, so that it keeps the focus. */
export function SuspensionButton({ agent, onSuspend, named = false }: SuspensionButtonProps) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const resume = useMutation({
    mutationFn: () => call("POST /agents/:name/resume", { params: { name: agent.name } }),
    onSuccess: async () => {
      await refresh("agents");
      say(`${agent.name} goes on`, { text: "With the token that it has." });
    },
    onError: (error) =>
      say(`${agent.name} is still suspended`, { text: describeError(error), bad: true }),
  });
  const suspended = agent.suspendedAt !== null;
  const text = suspended ? "Resume" : "Suspend";
  return (
    <Button
      small
      busy={resume.isPending}
      onClick={suspended ? () => resume.mutate() : onSuspend}
      aria-label={named ? `${text} ${agent.name}` : undefined}
    >
      {text}
    </Button>
  );
}
