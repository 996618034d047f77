// A caller's own account over REST: who it is, proof, password, second factor, sessions.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity, SessionView } from "../identity/index.ts";
import { clientOf } from "./authentication.ts";
import { callerOf, personOf } from "./funnel.ts";
import { createLatestFirstPaging, nextCursor, pageQuery } from "./paging.ts";
import { code, oneMe, password, signedIn, type Selves } from "./people.ts";
import { addRoute } from "./route.ts";

const proofBody = z.union(
  [z.strictObject({ password }), z.strictObject({ code })],
  "give a password or a code",
);
const passwordBody = z.strictObject({ current: password, password });
const secondFactorBody = z.strictObject({
  /** Base32 of 20 bytes, made by the browser. */
  seed: z.string().regex(/^[A-Za-z2-7]{32}$/, "give 32 characters of base32"),
  code: z.string().regex(/^\d{6}$/, "give six digits"),
});
const recoveryCodes = z.array(z.string());
const bySession = { params: z.object({ id: z.guid() }), unknown: "session_not_found" } as const;

const sessionView = z.object({
  id: z.string(),
  current: z.boolean(),
  createdAt: z.string(),
  lastSeenAt: z.string(),
  endsAt: z.string(),
  address: z.string().nullable(),
  userAgent: z.string().nullable(),
});

const sessionPages = createLatestFirstPaging<SessionView>("sessions");

export function addMeRoutes(
  app: FastifyInstance,
  { identity, selves }: { identity: Identity; selves: Selves },
): void {
  const { account, ownSessions } = identity;

  addRoute(app, {
    method: "GET",
    path: "/me",
    summary: "Tell who is asking",
    permission: "self",
    answer: oneMe,
    handle: ({ request }) => selves.of(callerOf(request)),
  });

  addRoute(app, {
    method: "POST",
    path: "/me/proof",
    summary: "Prove again who is asking: good for five minutes",
    permission: "person",
    body: proofBody,
    answer: oneMe,
    async handle({ body, request }) {
      const client = clientOf(request);
      await account.prove(personOf(request), body, client);
      const { session } = request;
      const now = session && (await identity.authenticateSession(session, client));
      return selves.of(now ?? callerOf(request));
    },
  });

  addRoute(app, {
    method: "PUT",
    path: "/me/password",
    summary: "Change the own password: ends all other sessions",
    permission: "person",
    body: passwordBody,
    answer: signedIn,
    async handle({ body, request, reply }) {
      const person = personOf(request);
      return selves.signedIn(
        request,
        reply,
        await account.changePassword(person, body, clientOf(request)),
      );
    },
  });

  addRoute(app, {
    method: "PUT",
    path: "/me/second-factor",
    summary: "Enrol a second factor, or replace it: gives recovery codes, once",
    permission: "person",
    fresh: true,
    body: secondFactorBody,
    answer: signedIn.extend({ recoveryCodes }),
    async handle({ body, request, reply }) {
      const { session, recoveryCodes: codes } = await account.enrol(
        personOf(request),
        body,
        clientOf(request),
      );
      return { ...(await selves.signedIn(request, reply, session)), recoveryCodes: codes };
    },
  });

  addRoute(app, {
    method: "DELETE",
    path: "/me/second-factor",
    summary: "Remove the own second factor",
    permission: "person",
    fresh: true,
    answer: signedIn,
    async handle({ request, reply }) {
      const person = personOf(request);
      return selves.signedIn(
        request,
        reply,
        await account.removeSecondFactor(person, clientOf(request)),
      );
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/me/recovery-codes",
    summary: "Make ten new recovery codes, shown once; the ones before end",
    permission: "person",
    fresh: true,
    answer: z.object({ recoveryCodes }),
    handle: async ({ request }) => ({
      recoveryCodes: await account.renewRecoveryCodes(personOf(request), clientOf(request)),
    }),
  });

  addRoute(app, {
    method: "GET",
    path: "/me/sessions",
    summary: "List the own sessions, latest first",
    permission: "person",
    query: pageQuery,
    answer: z.object({ sessions: z.array(sessionView), nextCursor }),
    async handle({ query, request }) {
      const person = personOf(request);
      const { rows, nextCursor } = await sessionPages.read(query, (page) =>
        ownSessions.list(person, page),
      );
      return { sessions: rows, nextCursor };
    },
  });

  addRoute(app, {
    method: "DELETE",
    path: "/me/sessions/:id",
    summary: "End one of the own sessions",
    permission: "person",
    ...bySession,
    async handle({ params, request, reply }) {
      const person = personOf(request);
      await ownSessions.end(person, params.id, clientOf(request));
      if (params.id.toLowerCase() === person.session.id) selves.signedOut(reply);
      return undefined;
    },
  });

  addRoute(app, {
    method: "DELETE",
    path: "/me/sessions",
    summary: "End all other sessions of one's own",
    permission: "person",
    handle: ({ request }) => ownSessions.endOthers(personOf(request), clientOf(request)),
  });
}
