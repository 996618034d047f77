// One-time links over REST. The token comes in the body: what stands in a URL ends up in logs.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity } from "../identity/index.ts";
import { clientOf } from "./authentication.ts";
import { code, email, linkToken, password, role, signedIn, type Selves } from "./people.ts";
import { addRoute } from "./route.ts";

const setupBody = z.strictObject({ token: linkToken, email, password });
const acceptBody = z.strictObject({ token: linkToken, password });
const resetBody = acceptBody.extend({
  /** Of the second factor, unless the reset takes it away. */
  code: code.optional(),
});

export function addLinkRoutes(
  app: FastifyInstance,
  { identity: { links }, selves }: { identity: Identity; selves: Selves },
): void {
  addRoute(app, {
    method: "POST",
    path: "/links/look",
    summary: "Tell what a one-time link is for, without using it up",
    permission: "link",
    forSession: true,
    body: z.strictObject({ token: linkToken }),
    answer: z.object({
      kind: z.enum(["invitation", "reset", "setup"]),
      email: z.string().nullable(),
      role: role.nullable(),
      /** Whether it asks for a code of the second factor, too. */
      needsCode: z.boolean(),
    }),
    handle: ({ body, request }) => links.look(body.token, clientOf(request)),
  });

  addRoute(app, {
    method: "POST",
    path: "/setup",
    summary: "Make the first user, with the token of the setup link, and sign in",
    permission: "link",
    forSession: true,
    body: setupBody,
    answer: signedIn,
    success: [201],
    async handle({ body, request, reply }) {
      const session = await links.setUp(body, clientOf(request));
      reply.code(201);
      return selves.signedIn(request, reply, session);
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/invitations/accept",
    summary: "Become a user, with the token of an invitation, and sign in",
    permission: "link",
    forSession: true,
    body: acceptBody,
    answer: signedIn,
    success: [201],
    async handle({ body, request, reply }) {
      const session = await links.acceptInvitation(body, clientOf(request));
      reply.code(201);
      return selves.signedIn(request, reply, session);
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/resets/accept",
    summary: "Set another password, with the token of a reset, and sign in",
    permission: "link",
    forSession: true,
    body: resetBody,
    answer: signedIn,
    async handle({ body, request, reply }) {
      return selves.signedIn(request, reply, await links.acceptReset(body, clientOf(request)));
    },
  });
}
