// Who sent a request to the admin side, and whether that caller may use the route. Reads credentials from the database for each request.
import type { FastifyRequest } from "fastify";
import { clientNetwork } from "../platform/addresses.ts";
import {
  roleAllows,
  SESSION_HEADER,
  type Permission,
  type ProblemCode,
  type RoutePermission,
  type RouteRule,
} from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { Caller, Client, Identity } from "../identity/index.ts";
import type { Failures } from "../limits/index.ts";
import { type SessionCookie, isSafe, refuseForeignSite } from "./browsers.ts";

/** Finds out who a request is from. Throws RequestError: 401 `unauthenticated`, 403, 429, 503. */
export function createAuthentication(o: {
  identity: Pick<Identity, "authenticateApiKey" | "authenticateSession">;
  failures: Failures;
  cookie: SessionCookie;
  dashboardUrl: string;
}): (request: FastifyRequest, emergency: boolean) => Promise<Caller> {
  const { identity, failures, cookie, dashboardUrl } = o;

  return async (request, emergency) => {
    const client = clientOf(request);
    const { authorization } = request.headers;
    let caller: Caller | undefined;
    if (authorization === undefined) {
      const value = cookie.read(request.headers.cookie);
      const secret = request.headers[SESSION_HEADER];
      // Without both values nothing is looked up, and no failure is counted: pages load before sign-in, and somebody who has only the
      // cookie must learn nothing about its session.
      if (value === undefined || typeof secret !== "string") throw unauthenticated();
      refuseForeignSite(request.headers, dashboardUrl);
      request.session = { value, secret };
      caller = await identity.authenticateSession(request.session, client, { emergency });
    } else {
      const key = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "";
      caller = await identity.authenticateApiKey(key, client, { emergency });
    }
    if (caller !== undefined) return caller;
    throw failures.count(client.network) > 0 ? tooManyFailures() : unauthenticated();
  };
}

/** The answer to a network that failed too often within a minute. */
export function tooManyFailures(): RequestError {
  return new RequestError(
    429,
    "too_many_attempts",
    "Too many failed attempts from this address. Try again in a minute.",
  );
}

/** Throws RequestError if `caller` may not use the route: 403, or 404 for an agent that it may not see. */
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

/** Whether a caller may see an agent. */
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
