// Users and invitations over REST. The answer that makes a link is the only one that ever holds it.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity, InvitationView, UserView } from "../identity/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import {
  createLatestFirstPaging,
  createPaging,
  nextCursor,
  pageQuery,
  total,
  totalOf,
} from "./paging.ts";
import { agentLimit, email, role } from "./people.ts";
import { addRoute } from "./route.ts";

const changeBody = z.strictObject({ role: role.optional(), agents: agentLimit.optional() });
const resetBody = z.strictObject({
  /** Whether it also takes the second factor away. */
  secondFactor: z.boolean().default(false),
});
const inviteBody = z.strictObject({ email, role, agents: agentLimit.default(null) });
const byUser = { params: z.object({ id: z.guid() }), unknown: "user_not_found" } as const;
const byInvitation = {
  params: z.object({ id: z.guid() }),
  unknown: "invitation_not_found",
} as const;

const userView = z.object({
  id: z.string(),
  email: z.string(),
  role,
  agents: z.array(z.string()).nullable(),
  /** Whether one is enrolled. */
  secondFactor: z.boolean(),
  createdAt: z.string(),
  lastSignInAt: z.string().nullable(),
});
const oneUser = z.object({ user: userView });
const invitationView = z.object({
  id: z.string(),
  email: z.string(),
  role,
  agents: z.array(z.string()).nullable(),
  invitedBy: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
});

const pages = createPaging("users", z.tuple([z.string()]), ({ email }: UserView) => [email]);
const invitationPages = createLatestFirstPaging<InvitationView>("invitations");

export function addUserRoutes(
  app: FastifyInstance,
  { identity: { users, invitations }, dashboardUrl }: { identity: Identity; dashboardUrl: string },
): void {
  addRoute(app, {
    method: "GET",
    path: "/users",
    summary: "List the users",
    permission: "owner",
    query: pageQuery,
    answer: z.object({ users: z.array(userView), total, nextCursor }),
    async handle({ query, request }) {
      const { workspaceId } = callerOf(request);
      const page = await pages.read(query, (part) => users.list(workspaceId, part));
      const total = await totalOf(query, page, () => users.count(workspaceId));
      return { users: page.rows, total, nextCursor: page.nextCursor };
    },
  });

  addRoute(app, {
    method: "PATCH",
    path: "/users/:id",
    summary: "Change a user's role, or what it is limited to: ends the user's sessions",
    permission: "owner",
    fresh: true,
    ...byUser,
    body: changeBody,
    example: { role: "operator" },
    answer: oneUser,
    handle: async ({ params, body, request }) => ({
      user: await users.change(actorOf(request), params.id, body),
    }),
  });

  addRoute(app, {
    method: "DELETE",
    path: "/users/:id",
    summary: "Delete a user",
    permission: "owner",
    fresh: true,
    ...byUser,
    answer: oneUser,
    handle: async ({ params, request }) => ({
      user: await users.delete(actorOf(request), params.id),
    }),
  });

  addRoute(app, {
    method: "POST",
    path: "/users/:id/reset",
    summary: "Make a link, shown once, that gives a user another password",
    permission: "owner",
    fresh: true,
    ...byUser,
    body: resetBody,
    example: { secondFactor: true },
    answer: z.object({ url: z.string(), expiresAt: z.string() }),
    async handle({ params, body, request }) {
      const { token, expiresAt } = await users.createReset(actorOf(request), params.id, body);
      return { url: `${dashboardUrl}/reset#token=${token}`, expiresAt };
    },
  });

  addRoute(app, {
    method: "GET",
    path: "/invitations",
    summary: "List the open invitations, latest first",
    permission: "owner",
    query: pageQuery,
    answer: z.object({ invitations: z.array(invitationView), total, nextCursor }),
    async handle({ query, request }) {
      const { workspaceId } = callerOf(request);
      const page = await invitationPages.read(query, (part) => invitations.list(workspaceId, part));
      const total = await totalOf(query, page, () => invitations.count(workspaceId));
      return { invitations: page.rows, total, nextCursor: page.nextCursor };
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/invitations",
    summary: "Invite somebody: makes a link, shown once",
    permission: "owner",
    fresh: true,
    body: inviteBody,
    example: { email: "ada@example.com", role: "operator" },
    answer: z.object({ invitation: invitationView, url: z.string() }),
    success: [201],
    async handle({ body, request, reply }) {
      const { invitation, token } = await invitations.create(actorOf(request), body);
      reply.code(201);
      return { invitation, url: `${dashboardUrl}/invitation#token=${token}` };
    },
  });

  addRoute(app, {
    method: "DELETE",
    path: "/invitations/:id",
    summary: "Withdraw an invitation",
    permission: "owner",
    fresh: true,
    ...byInvitation,
    handle: ({ params, request }) => invitations.delete(actorOf(request), params.id),
  });
}
