// Short messages about finished actions. Screen readers read them; they disappear by themselves.
import { Toast } from "@base-ui/react/toast";
import type { ReactNode } from "react";
import { Icon } from "./icon.tsx";

export function ToastProvider({ children }: { children: ReactNode }) {
  return (
    <Toast.Provider timeout={6000} limit={3}>
      {children}
      <Toast.Portal>
        <Toast.Viewport className="toasts">
          <Toasts />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function Toasts() {
  const { toasts } = Toast.useToastManager();
  // Messages beyond the limit stay in the list until they expire.
  const shown = toasts.filter(({ limited }) => limited !== true);
  return shown.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className={`toast ${toast.type ?? ""}`}>
      <Icon name={toast.type === "bad" ? "warning" : "check"} />
      <div>
        <Toast.Title className="toast-title" render={<p />} />
        <Toast.Description className="toast-text" render={<p />} />
      </div>
      <Toast.Close className="button quiet small icon-button" aria-label="Dismiss">
        <Icon name="close" size={16} />
      </Toast.Close>
    </Toast.Root>
  ));
}

export type Say = (title: string, more?: { text?: string; bad?: boolean }) => void;

export function useSay(): Say {
  const { add } = Toast.useToastManager();
  return (title, { text, bad = false } = {}) =>
    void add({
      title,
      type: bad ? "bad" : "good",
      ...(text !== undefined && { description: text }),
    });
}
