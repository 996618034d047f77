// Who may do what, for showing only that. The service decides; this keeps people from trying in vain.
import { roleAllows, type Me, type Role, type RoutePermission } from "../contract/client.ts";

/** What a part of a page asks for; `person` is for everybody. */
export type Permission = Exclude<RoutePermission, "self" | "link" | "public">;

/** Whether `me` may do what asks for `permission`. Whoever is limited to agents changes nothing but those. */
export function may(me: Me, permission: Permission): boolean {
  if (permission === "person") return true;
  const isAboutAll = permission === "admin" || permission === "owner";
  return roleAllows(me.role, permission) && !(isAboutAll && me.agents !== null);
}

/** What each role may, in a sentence. */
export const ROLE_TEXTS: Readonly<Record<Role, string>> = {
  viewer: "Sees agents, keys (masked) and activity.",
  operator: "Also deploys and destroys agents.",
  admin: "Also manages secrets and providers.",
  owner: "Also manages users, API keys and the workspace. Sees the audit.",
  auditor: "Sees the audit, and nothing else.",
};

/** Roles that can be limited to some agents. */
export const LIMITABLE: readonly Role[] = ["viewer", "operator"];
