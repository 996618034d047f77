// Asks before the user leaves unsaved changes or a value that is shown once: within the dashboard by our dialog, when the browser leaves by
// the browser's.
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
  // Changing the page's own query (for an open dialog, say) is not leaving. Going back to another query is.
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
