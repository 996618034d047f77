// Asks before something is left that would be lost: what was changed and is not saved, what is shown once. Within the dashboard by
// a dialog, at the browser's own ways out by the browser's.
import { useEffect } from "react";
import { NavigationType, useBlocker } from "react-router";
import { Button } from "./button.tsx";
import { Modal } from "./dialog.tsx";

interface UnsavedProps {
  /** Whether there is something to lose. */
  readonly when: boolean;
  readonly title?: string;
  /** What would be lost. */
  readonly text?: string;
}

export function AskBeforeLeaving({
  when,
  title = "Leave without saving?",
  text = "What you changed here is not saved. It is lost when you leave.",
}: UnsavedProps) {
  // A page's own query, as that of a dialog which is open, changes without leaving; going back to another query is leaving.
  const blocker = useBlocker(
    ({ currentLocation: here, nextLocation: there, historyAction }) =>
      when &&
      (here.pathname !== there.pathname ||
        (historyAction === NavigationType.Pop && here.search !== there.search)),
  );
  useEffect(() => {
    if (!when) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [when]);
  const blocked = blocker.state === "blocked";
  return (
    <Modal open={blocked} onClose={() => blocker.reset?.()} title={title} size="small">
      <p>{text}</p>
      <div className="dialog-actions">
        <Button onClick={() => blocker.reset?.()} data-initial-focus>
          Stay
        </Button>
        <Button kind="danger" onClick={() => blocker.proceed?.()}>
          Leave
        </Button>
      </div>
    </Modal>
  );
}
