// Signing in and out over REST.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity } from "../identity/index.ts";
import { clientOf } from "./authentication.ts";
import { personOf } from "./funnel.ts";
import { text } from "./names.ts";
import { code, device, password, signedIn, type Selves } from "./people.ts";
import { addRoute } from "./route.ts";

const signInBody = z.strictObject({
  email: text(1000),
  password,
  code: code.optional(),
  device: device.optional(),
});

export function addSignInRoutes(
  app: FastifyInstance,
  { identity, selves }: { identity: Identity; selves: Selves },
): void {
  addRoute(app, {
    method: "POST",
    path: "/sign-in",
    summary: "Sign in: sets the session's cookie, and tells its secret",
    permission: "public",
    forSession: true,
    body: signInBody,
    answer: signedIn,
    async handle({ body, request, reply }) {
      return selves.signedIn(request, reply, await identity.signIn(body, clientOf(request)));
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/sign-out",
    summary: "End this session",
    permission: "person",
    async handle({ request, reply }) {
      await identity.signOut(personOf(request), clientOf(request));
      selves.signedOut(reply);
      return undefined;
    },
  });
}
