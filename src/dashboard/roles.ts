// Who may do what, for showing only that. The service decides; this keeps people from trying in vain.
import type { Me, Role } from "./answers.ts";

/** A role and those above it; `audit` is for the auditor and the owner; `person` for everybody. */
export type Permission = "viewer" | "operator" | "admin" | "owner" | "audit" | "person";

const RANK: Readonly<Record<Role, number>> = {
  auditor: 0,
  viewer: 1,
  operator: 2,
  admin: 3,
  owner: 4,
};

/** Whether `me` may do what asks for `permission`. Whoever is limited to agents changes nothing but those. */
export function may(me: Me, permission: Permission): boolean {
  switch (permission) {
    case "person":
      return true;
    case "audit":
      return me.role === "auditor" || me.role === "owner";
    case "admin":
    case "owner":
      return me.agents === null && RANK[me.role] >= RANK[permission];
    case "viewer":
    case "operator":
      return RANK[me.role] >= RANK[permission];
  }
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
