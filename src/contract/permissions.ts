// The roles and what each includes, and what a route asks of its caller. One table, no exceptions spread over the routes.

/** What a user or an API key is in its workspace. An auditor reads the audit and on whose behalf calls were made, and nothing else. */
export type Role = (typeof ROLES)[number];

export const ROLES = ["viewer", "operator", "admin", "owner", "auditor"] as const;

/** What an action asks for: a role and those above it, a right to the audit, or no more than to be somebody. */
export type Permission = Exclude<Role, "auditor"> | "audit" | "self";

/**
 * Who may use a route: a role and above, whoever is signed in (`person`), whoever holds the one-time link in the body, or
 * anybody.
 */
export type RoutePermission = Permission | "person" | "link" | "public";

/** What it takes to give an agent more than it has, or than every new one gets. */
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
