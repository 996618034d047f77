// Who sent a request to the admin side, and whether that may use the route. Credentials are asked of the database each time; only
// that one has worked before is remembered, as its hash.
import type { FastifyRequest } from "fastify";
import { LRUCache } from "lru-cache";
import { clientNetwork } from "../addresses.ts";
import { RequestError, type ProblemCode } from "../errors.ts";
import { hashBearer } from "../ids.ts";
import {
  roleAllows,
  type Caller,
  type Client,
  type Identity,
  type Permission,
} from "../identity/index.ts";
import type { Attempts } from "./attempts.ts";
import type { SessionCookie } from "./cookies.ts";
import { checkCsrfToken, isSafe, refuseForeignSite } from "./csrf.ts";

/**
 * Who may use a route: a role and above, whoever is signed in (`person`), whoever holds the one-time link in the body, or
 * anybody.
 */
export type RoutePermission = Permission | "person" | "link" | "public";

/** What a route asks of its caller. */
export interface RouteRule {
  readonly permission: RoutePermission;
  /** Whether a session's last proof must be younger than five minutes. */
  readonly fresh?: boolean | undefined;
  /** Whether its `:name` names an agent, which a caller limited to agents needs to be limited to. */
  readonly forAgent?: boolean | undefined;
  /** Whether it makes a session, or leads to one: then a browser has to come by https, or from this machine. */
  readonly forSession?: boolean | undefined;
}

const MAX_REMEMBERED = 1000;

/** Finds out who a request is from. Throws RequestError: 401 `unauthenticated`, 403, 429. */
export function createAuthentication(o: {
  identity: Pick<Identity, "authenticateApiKey" | "authenticateSession">;
  attempts: Attempts;
  cookie: SessionCookie;
  dashboardUrl: string;
}): (request: FastifyRequest) => Promise<Caller> {
  const { identity, attempts, cookie, dashboardUrl } = o;
  // Of credentials that have worked here: a neighbour's failed attempts don't hold these up. Each is still verified.
  const worked = new LRUCache<string, true>({ max: MAX_REMEMBERED });

  async function counted(
    credential: string,
    network: string,
    find: () => Promise<Caller | undefined>,
  ): Promise<Caller> {
    const hash = hashBearer(credential);
    const known = worked.get(hash) === true;
    if (!known) attempts.begin(network);
    let refused = false;
    try {
      const caller = await find();
      if (caller !== undefined) {
        worked.set(hash, true);
        return caller;
      }
      refused = true;
    } finally {
      if (!known && !refused) attempts.takeBack(network);
    }
    worked.delete(hash);
    throw unauthenticated();
  }

  return async (request) => {
    const client = clientOf(request);
    const { authorization } = request.headers;
    const session = authorization === undefined ? cookie.read(request.headers.cookie) : undefined;
    // Nothing was guessed, and nothing is asked of the database: a page that is loaded by nobody counts for nothing.
    if (authorization === undefined && session === undefined) throw unauthenticated();
    if (session === undefined) {
      const key = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? "";
      return counted(key, client.network, () => identity.authenticateApiKey(key, client));
    }
    const person = await counted(session, client.network, () =>
      identity.authenticateSession(session),
    );
    if (!isSafe(request.method)) {
      refuseForeignSite(request.headers, dashboardUrl);
      checkCsrfToken(request.headers, session);
    }
    request.sessionValue = session;
    return person;
  };
}

/** Throws RequestError when `caller` may not use a route: 403, or 404 for an agent that it does not see. */
export function checkRule(caller: Caller, rule: RouteRule, request: FastifyRequest): void {
  const { permission, fresh = false, forAgent = false } = rule;
  const own = permission === "self" || permission === "person";
  if (permission === "person" && caller.kind !== "user") {
    throw forbidden("person_needed", "Only a signed-in user can do this, no API key.");
  }
  if (caller.mustEnrol && !own) {
    throw forbidden(
      "second_factor_required",
      "Enrol a second factor first: this workspace asks for one.",
    );
  }
  if (!own && !roleAllows(caller.role, permission as Permission)) {
    const who = caller.kind === "user" ? "you have" : "this API key has";
    const limit =
      caller.agents === null
        ? "."
        : `, limited to some agents. Name one of them at a time; what is about all is for the role ${roleFor(permission)}.`;
    throw forbidden(
      "role_too_low",
      `This needs the role ${roleFor(permission)}; ${who} the role ${caller.role}${limit}`,
    );
  }
  if (caller.agents !== null && !own) checkLimits(caller, forAgent, request);
  if (fresh && caller.session?.fresh === false) {
    throw forbidden("proof_needed", "Give your password or a code again first.");
  }
}

/** Whether a caller sees an agent. */
export function sees({ agents }: Caller, name: string): boolean {
  return agents === null || agents.includes(name);
}

/** Where a request comes from. */
export function clientOf({ address, headers }: FastifyRequest): Client {
  return {
    address: address === "" ? "unknown" : address,
    network: clientNetwork(address),
    userAgent: headers["user-agent"] ?? null,
  };
}

function checkLimits(caller: Caller, forAgent: boolean, request: FastifyRequest): void {
  if (!forAgent) {
    if (isSafe(request.method)) return;
    throw forbidden(
      "limited_to_agents",
      "You are limited to some agents, and this is not about one of them.",
    );
  }
  const { name } = request.params as { name?: string };
  if (name !== undefined && sees(caller, name)) return;
  throw new RequestError(404, "agent_not_found", "There is no such agent.");
}

function unauthenticated(): RequestError {
  return new RequestError(
    401,
    "unauthenticated",
    "Sign in, or send a valid API key: Authorization: Bearer …",
  );
}

function roleFor(permission: RoutePermission): string {
  return permission === "audit" ? "auditor or owner" : permission;
}

function forbidden(code: ProblemCode, message: string): RequestError {
  return new RequestError(403, code, message);
}
