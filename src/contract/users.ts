// Users and invitations. Only the answer that makes a link holds it.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { agentLimit, email, role } from "./fields.ts";
import { nextCursor, pageQuery, total } from "./lists.ts";

const changeBody = z.strictObject({ role: role.optional(), agents: agentLimit.optional() });
const resetBody = z.strictObject({
  /** Whether the reset also removes the second factor. */
  secondFactor: z.boolean().default(false),
});
const inviteBody = z.strictObject({ email, role, agents: agentLimit.default(null) });
const byUser = { params: z.object({ id: z.guid() }), unknown: "user_not_found" } as const;
const byInvitation = {
  params: z.object({ id: z.guid() }),
  unknown: "invitation_not_found",
} as const;

const user = z.object({
  id: z.string(),
  email: z.string(),
  role,
  agents: z.array(z.string()).nullable(),
  /** Whether a second factor is enrolled. */
  secondFactor: z.boolean(),
  createdAt: z.string(),
  lastSignInAt: z.string().nullable(),
});
export type User = z.infer<typeof user>;
const oneUser = z.object({ user });
const invitation = z.object({
  id: z.string(),
  email: z.string(),
  role,
  agents: z.array(z.string()).nullable(),
  invitedBy: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
});
export type Invitation = z.infer<typeof invitation>;

export const userRoutes = {
  "GET /users": {
    summary: "List the users",
    permission: "owner",
    query: pageQuery,
    answer: z.object({ users: z.array(user), total, nextCursor }),
  },

  "PATCH /users/:id": {
    summary: "Change a user's role, or what it is limited to: ends the user's sessions",
    permission: "owner",
    fresh: true,
    ...byUser,
    body: changeBody,
    example: { role: "operator" },
    answer: oneUser,
  },

  "DELETE /users/:id": {
    summary: "Delete a user",
    permission: "owner",
    fresh: true,
    ...byUser,
    answer: oneUser,
  },

  "POST /users/:id/reset": {
    summary: "Make a link, shown once, that gives a user another password",
    permission: "owner",
    fresh: true,
    ...byUser,
    body: resetBody,
    example: { secondFactor: true },
    answer: z.object({ url: z.string(), expiresAt: z.string() }),
  },

  "GET /invitations": {
    summary: "List the open invitations, latest first",
    permission: "owner",
    query: pageQuery,
    answer: z.object({ invitations: z.array(invitation), total, nextCursor }),
  },

  "POST /invitations": {
    summary: "Invite somebody: makes a link, shown once",
    permission: "owner",
    fresh: true,
    body: inviteBody,
    example: { email: "ada@example.com", role: "operator" },
    answer: z.object({ invitation, url: z.string() }),
    success: [201],
  },

  "DELETE /invitations/:id": {
    summary: "Withdraw an invitation",
    permission: "owner",
    fresh: true,
    ...byInvitation,
  },
} satisfies Routes;
export type UserRoutes = typeof userRoutes;
