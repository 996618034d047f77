// Users and invitations over REST. Only the answer that makes a link holds it.
import { z } from "zod";
import type { UserRoutes } from "../contract/index.ts";
import type { Identity, InvitationView, UserView } from "../identity/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { createLatestFirstPaging, createPaging, totalOf } from "./paging.ts";
import type { HandlersOf } from "./route.ts";

const pages = createPaging("users", z.tuple([z.string()]), ({ email }: UserView) => [email]);
const invitationPages = createLatestFirstPaging<InvitationView>("invitations");

export function userHandlers({
  identity: { users, invitations },
  dashboardUrl,
}: {
  identity: Identity;
  dashboardUrl: string;
}): HandlersOf<UserRoutes> {
  return {
    "GET /users": async ({ query, request }) => {
      const { workspaceId } = callerOf(request);
      const page = await pages.read(query, (part) => users.list(workspaceId, part));
      const total = await totalOf(query, page, () => users.count(workspaceId));
      return { users: page.rows, total, nextCursor: page.nextCursor };
    },

    "PATCH /users/:id": async ({ params, body, request }) => ({
      user: await users.change(actorOf(request), params.id, body),
    }),

    "DELETE /users/:id": async ({ params, request }) => ({
      user: await users.delete(actorOf(request), params.id),
    }),

    "POST /users/:id/reset": async ({ params, body, request }) => {
      const { token, expiresAt } = await users.createReset(actorOf(request), params.id, body);
      return { url: `${dashboardUrl}/reset#token=${token}`, expiresAt };
    },

    "GET /invitations": async ({ query, request }) => {
      const { workspaceId } = callerOf(request);
      const page = await invitationPages.read(query, (part) => invitations.list(workspaceId, part));
      const total = await totalOf(query, page, () => invitations.count(workspaceId));
      return { invitations: page.rows, total, nextCursor: page.nextCursor };
    },

    "POST /invitations": async ({ body, request, reply }) => {
      const { invitation, token } = await invitations.create(actorOf(request), body);
      reply.code(201);
      return { invitation, url: `${dashboardUrl}/invitation#token=${token}` };
    },

    "DELETE /invitations/:id": ({ params, request }) =>
      invitations.delete(actorOf(request), params.id),
  };
}
