// The shapes that the routes of people share, and the answer that signs somebody in.
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { RequestError } from "../errors.ts";
import { ROLES, type Caller, type Identity, type SessionCredential } from "../identity/index.ts";
import { clientOf } from "./authentication.ts";
import type { SessionCookie } from "./cookies.ts";
import { agentName } from "./names.ts";

const MAX_AGENTS = 200;

export const role = z.enum(ROLES);

/** Names of agents that a role is limited to. Null: it is not. */
export const agentLimit = z.array(agentName).min(1).max(MAX_AGENTS).nullable();

/** An e-mail address, in its one spelling. */
export const email = z
  .string()
  .trim()
  .toLowerCase()
  .pipe(z.email().max(254))
  .meta({ format: "email", maxLength: 254 });

/** A password as it is given: what is asked of a new one is asked elsewhere. */
export const password = z.string().max(4096);

/** A code of a second factor: six digits, or a recovery code. */
export const code = z.string().trim().min(1).max(64);

export const linkToken = z.string().max(200);

const meView = z.object({
  kind: z.enum(["user", "api_key"]),
  id: z.string(),
  /** An e-mail address, or an API key's name. */
  name: z.string(),
  role,
  agents: z.array(z.string()).nullable(),
  workspace: z.object({ id: z.string(), name: z.string(), secondFactorRequired: z.boolean() }),
  /** Null for an API key. */
  session: z
    .object({
      id: z.string(),
      provedAt: z.string(),
      endsAt: z.string(),
    })
    .nullable(),
  secondFactor: z.object({ enrolled: z.boolean(), recoveryCodesLeft: z.number() }).nullable(),
  /** Whether nothing can be done before a second factor is enrolled. */
  mustEnrol: z.boolean(),
});

export const oneMe = z.object({ me: meView });

/** The answer that begins a session, or gives it other values. */
export const signedIn = oneMe.extend({
  sessionSecret: z
    .string()
    .describe(
      "For the header `X3sproxy-Session` of every request of this session. Told here and never again.",
    ),
});

/** What a browser makes for itself and keeps: 256 random bits. */
export const device = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, "give 32 random bytes in base64url, or leave it out")
  .describe(
    "32 random bytes in base64url, made and kept by the browser. Once signed in to by it, an account lets it try whatever strangers did.",
  );

/** How the routes of people tell who is asking. */
export interface Selves {
  /** A caller, as it is told of itself. */
  of(caller: Caller): Promise<z.input<typeof oneMe>>;
  /** Gives a session to the browser, and who is signed in by it. */
  signedIn(
    request: FastifyRequest,
    reply: FastifyReply,
    session: SessionCredential,
  ): Promise<z.input<typeof signedIn>>;
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
