// The theme: light, dark, or the system's. The choice is stored in this browser.
import { useSyncExternalStore } from "react";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const STORED_AS = "x3sproxy-theme";
const listeners = new Set<() => void>();

function stored(): Theme {
  try {
    const value = localStorage.getItem(STORED_AS);
    return THEMES.find((theme) => theme === value) ?? "system";
  } catch {
    return "system"; // storage is switched off
  }
}

let current = stored();

function apply(): void {
  const { dataset } = document.documentElement;
  if (current === "system") delete dataset["theme"];
  else dataset["theme"] = current;
}

export function setTheme(theme: Theme): void {
  current = theme;
  try {
    localStorage.setItem(STORED_AS, theme);
  } catch {
    // Without a storage it holds for this page only.
  }
  apply();
  for (const changed of listeners) changed();
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    () => current,
  );
}

apply();
