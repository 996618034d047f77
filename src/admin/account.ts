// The caller's own account over REST: who it is, sign-in and sign-out, one-time links, proof, password, second factor and sessions.
import type { AccountRoutes } from "../contract/index.ts";
import type { Identity, SessionView } from "../identity/index.ts";
import { clientOf } from "./authentication.ts";
import { createSessionCookie } from "./browsers.ts";
import { callerOf, personOf } from "./funnel.ts";
import { createLatestFirstPaging } from "./paging.ts";
import type { HandlersOf } from "./route.ts";
import { createSelves } from "./selves.ts";

const sessionPages = createLatestFirstPaging<SessionView>("sessions");

export function accountHandlers(o: {
  identity: Identity;
  dashboardUrl: string;
}): HandlersOf<AccountRoutes> {
  const { identity } = o;
  const { account, ownSessions, links } = identity;
  const selves = createSelves({ identity, cookie: createSessionCookie(o.dashboardUrl) });

  return {
    "GET /whoami": ({ request }) => callerOf(request),

    "POST /sign-in": async ({ body, request, reply }) => {
      return selves.signedIn(request, reply, await identity.signIn(body, clientOf(request)));
    },

    "POST /sign-out": async ({ request, reply }) => {
      await identity.signOut(personOf(request), clientOf(request));
      selves.signedOut(reply);
      return undefined;
    },

    "GET /me": ({ request }) => selves.of(callerOf(request)),

    "POST /me/proof": async ({ body, request }) => {
      const client = clientOf(request);
      await account.prove(personOf(request), body, client);
      const { session } = request;
      const now = session && (await identity.authenticateSession(session, client));
      return selves.of(now ?? callerOf(request));
    },

    "PUT /me/password": async ({ body, request, reply }) => {
      const person = personOf(request);
      return selves.signedIn(
        request,
        reply,
        await account.changePassword(person, body, clientOf(request)),
      );
    },

    "PUT /me/second-factor": async ({ body, request, reply }) => {
      const { session, recoveryCodes: codes } = await account.enrol(
        personOf(request),
        body,
        clientOf(request),
      );
      return { ...(await selves.signedIn(request, reply, session)), recoveryCodes: codes };
    },

    "DELETE /me/second-factor": async ({ request, reply }) => {
      const person = personOf(request);
      return selves.signedIn(
        request,
        reply,
        await account.removeSecondFactor(person, clientOf(request)),
      );
    },

    "POST /me/recovery-codes": async ({ request }) => ({
      recoveryCodes: await account.renewRecoveryCodes(personOf(request), clientOf(request)),
    }),

    "GET /me/sessions": async ({ query, request }) => {
      const person = personOf(request);
      const { rows, nextCursor } = await sessionPages.read(query, (page) =>
        ownSessions.list(person, page),
      );
      return { sessions: rows, nextCursor };
    },

    "DELETE /me/sessions/:id": async ({ params, request, reply }) => {
      const person = personOf(request);
      await ownSessions.end(person, params.id, clientOf(request));
      if (params.id.toLowerCase() === person.session.id) selves.signedOut(reply);
      return undefined;
    },

    "DELETE /me/sessions": ({ request }) =>
      ownSessions.endOthers(personOf(request), clientOf(request)),

    "POST /links/look": ({ body, request }) => links.look(body.token, clientOf(request)),

    "POST /setup": async ({ body, request, reply }) => {
      const session = await links.setUp(body, clientOf(request));
      reply.code(201);
      return selves.signedIn(request, reply, session);
    },

    "POST /invitations/accept": async ({ body, request, reply }) => {
      const session = await links.acceptInvitation(body, clientOf(request));
      reply.code(201);
      return selves.signedIn(request, reply, session);
    },

    "POST /resets/accept": async ({ body, request, reply }) => {
      return selves.signedIn(request, reply, await links.acceptReset(body, clientOf(request)));
    },
  };
}
