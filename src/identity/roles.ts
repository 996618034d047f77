// What a role can be limited to.
import type { Role } from "../contract/index.ts";
import { RequestError } from "../errors.ts";

/** Throws RequestError 422 `agents_not_allowed` when `role` is one that can't be limited to agents. */
export function checkLimit(role: Role, agents: readonly string[] | null): void {
  if (agents === null || role === "viewer" || role === "operator") return;
  throw new RequestError(
    422,
    "agents_not_allowed",
    "Only a viewer or an operator can be limited to agents.",
  );
}
