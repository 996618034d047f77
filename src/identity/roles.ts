// The roles and what each includes. One order, no exceptions spread over the routes.

/** What a user or an API key is in its workspace. An auditor reads the audit, and nothing else. */
export type Role = "viewer" | "operator" | "admin" | "owner" | "auditor";

/** The least role that an action asks for. */
export type Permission = Exclude<Role, "auditor">;

const RANK: Readonly<Record<Permission, number>> = { viewer: 1, operator: 2, admin: 3, owner: 4 };

/** Whether `role` includes `permission`: viewer < operator < admin < owner. */
export function roleAllows(role: Role, permission: Permission): boolean {
  return role !== "auditor" && RANK[role] >= RANK[permission];
}
