// The notice that the browser is offline: the page's content may be old.
import { useSyncExternalStore } from "react";
import { Icon } from "./icon.tsx";

function subscribe(changed: () => void): () => void {
  addEventListener("online", changed);
  addEventListener("offline", changed);
  return () => {
    removeEventListener("online", changed);
    removeEventListener("offline", changed);
  };
}

export function OfflineNote() {
  const online = useSyncExternalStore(subscribe, () => navigator.onLine);
  return (
    <div role="status" className="offline-place">
      {!online && (
        <p className="note warn offline">
          <Icon name="warning" size={16} /> This browser is offline. What stands here may be old.
        </p>
      )}
    </div>
  );
}
