// Whether the user is present: a touch, a key or a movement in the last minutes. Pages reload only while the user is present: otherwise a
// forgotten screen would keep its session from ending.
import { useSyncExternalStore } from "react";

const GONE_AFTER_MS = 5 * 60_000;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "focus"] as const;

let present = true;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function set(next: boolean): void {
  if (present === next) return;
  present = next;
  for (const changed of listeners) changed();
}

function seen(): void {
  clearTimeout(timer);
  timer = setTimeout(() => set(false), GONE_AFTER_MS);
  set(true);
}

function subscribe(changed: () => void): () => void {
  if (listeners.size === 0) {
    for (const sign of SIGNS) addEventListener(sign, seen, { passive: true });
    seen();
  }
  listeners.add(changed);
  return () => {
    listeners.delete(changed);
    if (listeners.size > 0) return;
    clearTimeout(timer);
    for (const sign of SIGNS) removeEventListener(sign, seen);
  };
}

export function usePresence(): boolean {
  return useSyncExternalStore(subscribe, () => present);
}
