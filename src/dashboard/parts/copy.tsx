// Texts to copy: shown in full, copied by one click.
import { useEffect, useRef, useState } from "react";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

const SHOWN_MS = 2500;

interface CopyProps {
  readonly text: string;
  /** What is copied, as in "Copy token". */
  readonly what: string;
}

/** Without a clipboard (plain http from another machine) it selects the text and says so. */
function useCopy(text: string) {
  const shown = useRef<HTMLElement>(null);
  const [outcome, setOutcome] = useState<"copied" | "selected" | undefined>();
  useEffect(() => {
    if (outcome === undefined) return;
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const select = () => {
    if (shown.current !== null) getSelection()?.selectAllChildren(shown.current);
    setOutcome("selected");
  };
  const copy = () => {
    const clipboard = (navigator as { clipboard?: Clipboard }).clipboard;
    if (clipboard === undefined) select();
    else clipboard.writeText(text).then(() => setOutcome("copied"), select);
  };
  return { shown, outcome, copy };
}

/** A block of lines. */
export function CodeBlock({ text, what }: CopyProps) {
  const { shown, outcome, copy } = useCopy(text);
  return (
    <div className="code-block">
      {/* It scrolls sideways: the keyboard has to reach it. */}
      <pre tabIndex={0} aria-label={what}>
        <code ref={shown}>{text}</code>
      </pre>
      <CopyButton what={what} outcome={outcome} copy={copy} />
    </div>
  );
}

/** One line: a token, a key, a link. */
export function CopyLine({ text, what }: CopyProps) {
  const { shown, outcome, copy } = useCopy(text);
  return (
    <div className="copy-line">
      <code ref={shown} data-testid="copy-text">
        {text}
      </code>
      <CopyButton what={what} outcome={outcome} copy={copy} />
    </div>
  );
}

function CopyButton(props: {
  what: string;
  outcome: "copied" | "selected" | undefined;
  copy: () => void;
}) {
  const { what, outcome, copy } = props;
  return (
    <>
      <Button small className="copy-button" onClick={copy} aria-label={`Copy ${what}`}>
        <Icon name={outcome === "copied" ? "check" : "copy"} size={15} />
        <span>{outcome === "copied" ? "Copied" : outcome === "selected" ? "Ctrl+C" : "Copy"}</span>
      </Button>
      <span role="status" className="unseen">
        {outcome === "copied" && `Copied ${what}.`}
        {outcome === "selected" && `Selected ${what}. Press Ctrl+C to copy it.`}
      </span>
    </>
  );
}
