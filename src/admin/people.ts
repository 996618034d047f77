// The shapes that the routes of people share, and the answer that signs somebody in.
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { RequestError } from "../errors.ts";
import { ROLES, type Caller, type Identity } from "../identity/index.ts";
import type { SessionCookie } from "./cookies.ts";
import { csrfTokenOf } from "./csrf.ts";
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
      /** For the header X-CSRF-Token of whatever changes something. */
      csrfToken: z.string(),
      provedAt: z.string(),
      endsAt: z.string(),
    })
    .nullable(),
  secondFactor: z.object({ enrolled: z.boolean(), recoveryCodesLeft: z.number() }).nullable(),
  /** Whether nothing can be done before a second factor is enrolled. */
  mustEnrol: z.boolean(),
});

export const oneMe = z.object({ me: meView });

/** How the routes of people tell who is asking. */
export interface Selves {
  /** The caller of a request, as it is told of itself. */
  of(request: FastifyRequest, caller: Caller): Promise<z.input<typeof oneMe>>;
  /** Gives a session's value to the browser, and who is signed in by it. */
  signedIn(reply: FastifyReply, value: string): Promise<z.input<typeof oneMe>>;
  signedOut(reply: FastifyReply): void;
}

export function createSelves(o: { identity: Identity; cookie: SessionCookie }): Selves {
  const { identity, cookie } = o;

  async function me(caller: Caller, value: string | undefined) {
    const { session } = caller;
    const view = await identity.me(caller);
    return {
      me: {
        ...view,
        agents: view.agents === null ? null : [...view.agents],
        session:
          session === undefined || value === undefined
            ? null
            : { ...session, csrfToken: csrfTokenOf(value) },
      },
    };
  }

  return {
    of: (request, caller) => me(caller, request.sessionValue),
    async signedIn(reply, value) {
      const person = await identity.authenticateSession(value);
      if (person === undefined) {
        throw new RequestError(
          401,
          "unauthenticated",
          "This session was ended at once. Sign in again.",
        );
      }
      reply.header("set-cookie", cookie.set(value));
      return me(person, value);
    },
    signedOut: (reply) => void reply.header("set-cookie", cookie.clear()),
  };
}
