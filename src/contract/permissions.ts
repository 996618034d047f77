// The roles, and the permissions that routes demand. One table: routes must not make exceptions of their own.

/** The role of a user or an API key in its workspace. An auditor may only read the audit, and on whose behalf calls were made. */
export type Role = (typeof ROLES)[number];

export const ROLES = ["viewer", "operator", "admin", "owner", "auditor"] as const;

/** The permission for an action: a role or a higher one, access to the audit, or only to be authenticated. */
export type Permission = Exclude<Role, "auditor"> | "audit" | "self";

/**
 * Who may use a route: a role or a higher one, any signed-in user (`person`), the holder of the one-time link in the body, or
 * anybody.
 */
export type RoutePermission = Permission | "person" | "link" | "public";

/** What widening an agent's scope demands: more than it has, or than new agents get. */
export const WIDENING = { role: "admin", proof: true } as const;

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
