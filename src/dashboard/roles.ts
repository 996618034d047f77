// What each role may do, so that the dashboard shows only that. The service makes the decision.
import { roleAllows, type Me, type Role, type RoutePermission } from "../contract/client.ts";

/** The permission that a part of a page needs. `person`: any user. */
export type Permission = Exclude<RoutePermission, "self" | "link" | "public">;

/** Whether `me` has `permission`. A user who is limited to agents can change only those. */
export function may(me: Me, permission: Permission): boolean {
  if (permission === "person") return true;
  const isAboutAll = permission === "admin" || permission === "owner";
  return roleAllows(me.role, permission) && !(isAboutAll && me.agents !== null);
}

/** What each role may do, in a sentence. */
export const ROLE_TEXTS: Readonly<Record<Role, string>> = {
  viewer: "Sees agents, keys (masked) and activity.",
  operator: "Also deploys and destroys agents.",
  admin: "Also manages secrets and providers.",
  owner: "Also manages users, API keys and the workspace. Sees the audit.",
  auditor: "Sees the audit, and nothing else.",
};

/** Roles that can be limited to some agents. */
export const LIMITABLE: readonly Role[] = ["viewer", "operator"];
