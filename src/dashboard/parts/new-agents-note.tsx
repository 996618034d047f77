// What the workspace gives a new agent, shown in the form that makes one.
import type { NewAgents } from "../../contract/client.ts";
import { limitationsOf } from "../scope-draft.ts";
import { Note } from "./states.tsx";

/** The environment of a new agent if none is chosen; the same rule as the service's. */
export function environmentOfNew(newAgents: NewAgents | undefined): string {
  const only = newAgents?.environments ?? ["production"];
  return only.includes("production") ? "production" : (only[0] ?? "");
}

/** Shows nothing if there is no limit. */
export function NewAgentsNote({ newAgents }: { newAgents: NewAgents }) {
  const { environments } = newAgents;
  const limits = [
    ...(environments === null ? [] : [`in ${environments.join(" or ")}`]),
    ...limitationsOf({ ...newAgents, allowedEndpoints: [], scopeExpiresAt: null }),
  ];
  if (limits.length === 0) return null;
  return (
    <Note tone="plain">
      New agents of this workspace get: {limits.join(" · ")}. Only an admin can give one more.
    </Note>
  );
}
