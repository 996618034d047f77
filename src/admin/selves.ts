// What the account's routes say about the caller, and the answer that begins a session.
import type { FastifyReply, FastifyRequest } from "fastify";
import type { AnswerOf } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { Caller, Identity, SessionCredential } from "../identity/index.ts";
import { clientOf } from "./authentication.ts";
import type { SessionCookie } from "./browsers.ts";

export interface Selves {
  /** What a caller is told about itself. */
  of(caller: Caller): Promise<AnswerOf<"GET /me">>;
  /** Sets the session's cookie, and answers who is signed in. */
  signedIn(
    request: FastifyRequest,
    reply: FastifyReply,
    session: SessionCredential,
  ): Promise<AnswerOf<"POST /sign-in">>;
  signedOut(reply: FastifyReply): void;
}

export function createSelves(o: { identity: Identity; cookie: SessionCookie }): Selves {
  const { identity, cookie } = o;

  async function me(caller: Caller) {
    const { session = null } = caller;
    const view = await identity.me(caller);
    return { me: { ...view, agents: view.agents === null ? null : [...view.agents], session } };
  }

  return {
    of: me,
    async signedIn(request, reply, session) {
      const person = await identity.authenticateSession(session, clientOf(request));
      if (person === undefined) {
        throw new RequestError(
          401,
          "unauthenticated",
          "This session was ended at once. Sign in again.",
        );
      }
      reply.header("set-cookie", cookie.set(session.value));
      return { ...(await me(person)), sessionSecret: session.secret };
    },
    signedOut: (reply) => void reply.header("set-cookie", cookie.clear()),
  };
}
