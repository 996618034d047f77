// A dialog for values that are shown once: first the form, then the value, until its own button closes it.
import { useState, type ReactNode } from "react";
import { Button } from "./button.tsx";
import { Modal } from "./dialog.tsx";
import { AskBeforeLeaving } from "./unsaved.tsx";

interface OnceDialogProps<T> {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly description?: ReactNode;
  readonly form: (onMade: (made: T) => void) => ReactNode;
  readonly shown: (made: T) => {
    readonly title: string;
    readonly description: ReactNode;
    readonly content: ReactNode;
    readonly size?: "medium" | "large";
  };
}

export function OnceDialog<T>(props: OnceDialogProps<T>) {
  const { open, onClose, title, description, form } = props;
  const [made, setMade] = useState<{ readonly value: T } | undefined>();
  const shown = made && props.shown(made.value);
  return (
    <Modal
      open={open}
      onClose={onClose}
      onClosed={() => setMade(undefined)}
      locked={shown !== undefined}
      title={shown?.title ?? title}
      description={shown?.description ?? description}
      size={shown?.size ?? "medium"}
    >
      {shown === undefined ? (
        form((value) => setMade({ value }))
      ) : (
        <>
          {shown.content}
          <AskBeforeLeaving
            when={open}
            title="Leave before you have it?"
            text="It is shown only once. Copy it before you leave."
          />
          <div className="dialog-actions">
            <Button kind="primary" onClick={onClose}>
              I have it
            </Button>
          </div>
        </>
      )}
    </Modal>
  );
}
