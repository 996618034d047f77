// Dialogs: one for forms, one for actions that can't be undone. Base UI handles focus, Escape and the rest of the page.
import { Dialog } from "@base-ui/react/dialog";
import { useMutation } from "@tanstack/react-query";
import { useRef, useState, type ReactNode } from "react";
import { Button, IconButton } from "./button.tsx";
import { FormError } from "./field.tsx";
import { Icon } from "./icon.tsx";
import { TypedNameField } from "./name-fields.tsx";

interface ModalProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly description?: ReactNode;
  readonly size?: "small" | "medium" | "large";
  /** Only its own button closes it: for values that are shown once. */
  readonly locked?: boolean;
  /** Called when it has left the screen. */
  readonly onClosed?: () => void;
  readonly children: ReactNode;
}

/**
 * A click beside it doesn't close it: what was typed would be lost. Its children are there from opening until it is gone
 * from the screen; keep it mounted meanwhile, so that the focus finds back to where it came from.
 */
export function Modal(props: ModalProps) {
  const { open, onClose, title, description, size = "medium", locked = false } = props;
  const popup = useRef<HTMLDivElement>(null);
  return (
    <Dialog.Root
      open={open}
      disablePointerDismissal
      onOpenChange={(opened, details) => {
        if (opened) return;
        // Escape closes only the topmost dialog, and none that shows a value once.
        if (locked || isBelowAnother(popup.current)) details.cancel();
        else onClose();
      }}
      onOpenChangeComplete={(opened) => {
        if (!opened) props.onClosed?.();
      }}
    >
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Viewport className="dialog-viewport">
          <Dialog.Popup
            ref={popup}
            className={`dialog ${size}`}
            // Not by autoFocus: that comes before Base UI looks where the focus has to go back to.
            initialFocus={() =>
              popup.current?.querySelector<HTMLElement>("[data-initial-focus]") ?? true
            }
          >
            <header className="dialog-head">
              <Dialog.Title className="dialog-title">{title}</Dialog.Title>
              {!locked && (
                <IconButton label="Close" onClick={onClose}>
                  <Icon name="close" />
                </IconButton>
              )}
            </header>
            {description !== undefined && (
              <Dialog.Description className="dialog-text" render={<div />}>
                {description}
              </Dialog.Description>
            )}
            {props.children}
          </Dialog.Popup>
        </Dialog.Viewport>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function isBelowAnother(popup: Element | null): boolean {
  return [...document.querySelectorAll(".dialog[data-open]")].at(-1) !== popup;
}

/** The last defined value: what a dialog shows while it closes. */
export function useKept<T>(value: T | undefined): T | undefined {
  const [kept, setKept] = useState(value);
  if (value !== undefined && value !== kept) setKept(value);
  return value ?? kept;
}

interface DestructionProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: string;
  /** What will break, for whom, and when it was last used. */
  readonly consequences: ReactNode;
  /** Has to be typed. */
  readonly name: string;
  readonly action: string;
  /** Closes when it resolves. */
  readonly run: () => Promise<unknown>;
}

/** Asks before something is destroyed: says what will break, and has the name typed. */
export function DestructionDialog(props: DestructionProps) {
  const { open, onClose, title } = props;
  return (
    <Modal open={open} onClose={onClose} title={title}>
      <DestructionForm {...props} />
    </Modal>
  );
}

function DestructionForm({ onClose, consequences, name, action, run }: DestructionProps) {
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState(false);
  const destroy = useMutation({ mutationFn: run, onSuccess: onClose });
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setWrong(typed !== name);
        if (typed === name && !destroy.isPending) destroy.mutate();
      }}
    >
      <div className="consequences">{consequences}</div>
      <TypedNameField
        to="go on"
        value={typed}
        onValue={setTyped}
        {...{ name, wrong }}
        data-initial-focus
      />
      <FormError error={destroy.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="danger" type="submit" busy={destroy.isPending}>
          {action}
        </Button>
      </div>
    </form>
  );
}
