// The roles and what each includes. One table, no exceptions spread over the routes.
import { RequestError } from "../errors.ts";

/** What a user or an API key is in its workspace. An auditor reads the audit and on whose behalf calls were made, and nothing else. */
export type Role = "viewer" | "operator" | "admin" | "owner" | "auditor";

export const ROLES: readonly Role[] = ["viewer", "operator", "admin", "owner", "auditor"];

/** What an action asks for: a role and those above it, a right to the audit, or no more than to be somebody. */
export type Permission = Exclude<Role, "auditor"> | "audit" | "self";

const RANK: Readonly<Record<Role, number>> = {
  auditor: 0,
  viewer: 1,
  operator: 2,
  admin: 3,
  owner: 4,
};

/** Whether `role` includes `permission`: viewer < operator < admin < owner; the audit is for auditors and owners. */
export function roleAllows(role: Role, permission: Permission): boolean {
  switch (permission) {
    case "self":
      return true;
    case "audit":
      return role === "auditor" || role === "owner";
    case "viewer":
    case "operator":
    case "admin":
    case "owner":
      return RANK[role] >= RANK[permission];
  }
}

/** Throws RequestError 422 `agents_not_allowed` when `role` is one that can't be limited to agents. */
export function checkLimit(role: Role, agents: readonly string[] | null): void {
  if (agents === null || role === "viewer" || role === "operator") return;
  throw new RequestError(
    422,
    "agents_not_allowed",
    "Only a viewer or an operator can be limited to agents.",
  );
}
