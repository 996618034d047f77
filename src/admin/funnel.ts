// What every request to the admin side passes through: headers, Host, authentication, permission, errors, the log
// line. A route only declares who may use it; it must never authenticate or answer an error by itself.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Socket } from "node:net";
import type { Actor } from "../audit/index.ts";
import type { Clock } from "../clock.ts";
import type { ListenAddress } from "../config.ts";
import { RequestError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { Caller, Identity, Person } from "../identity/index.ts";
import { errorFields, type Log } from "../log.ts";
import { clientNetwork, isOwnHost } from "./addresses.ts";
import { createAttempts } from "./attempts.ts";
import {
  checkRule,
  clientOf,
  createAuthentication,
  type RoutePermission,
} from "./authentication.ts";
import { createSessionCookie } from "./cookies.ts";
import { isSafe, refuseForeignSite } from "./csrf.ts";
import { problem, PROBLEM_TYPE, problemOf, type Problem } from "./problem.ts";

declare module "fastify" {
  /** A RouteRule, as far as it is declared. */
  interface FastifyContextConfig {
    permission?: RoutePermission;
    fresh?: boolean | undefined;
    forAgent?: boolean | undefined;
  }
  interface FastifyRequest {
    caller: Caller | undefined;
    /** Of the caller's session. */
    sessionValue: string | undefined;
  }
}

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
};
const RETRY_AFTER_S: Readonly<Record<number, number>> = { 429: 60, 503: 2 };
// RFC 6797. Two years.
const HSTS = "max-age=63072000; includeSubDomains";

interface FunnelOptions {
  readonly identity: Pick<Identity, "authenticateApiKey" | "authenticateSession">;
  readonly log: Log;
  readonly clock: Clock;
  readonly dashboardUrl: string;
  readonly listening: () => ListenAddress | undefined;
}

/** Puts the funnel around every route that is added to `app` after this. */
export function installFunnel(app: FastifyInstance, options: FunnelOptions): void {
  const { identity, log, clock, dashboardUrl, listening } = options;
  const attempts = createAttempts({ clock });
  const secure = dashboardUrl.startsWith("https:");
  const cookie = createSessionCookie({ secure });
  const authenticate = createAuthentication({ identity, attempts, cookie, dashboardUrl });

  app.decorateRequest("caller", undefined);
  app.decorateRequest("sessionValue", undefined);

  app.addHook("onRoute", ({ method, url, config }) => {
    if (config?.permission === undefined) {
      throw new Error(`route ${String(method)} ${url} declares no permission`);
    }
  });

  app.addHook("onRequest", async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    if (secure) reply.header("strict-transport-security", HSTS);
    const local = request.socket.localAddress;
    if (!isOwnHost(request.headers.host, { dashboardUrl, listening: listening(), local })) {
      throw new RequestError(
        421,
        "host_not_allowed",
        "This service does not answer to that host name. Set X3SPROXY_DASHBOARD_URL to the URL that you use.",
      );
    }
    if (request.is404) return;
    const { permission, ...rest } = request.routeOptions.config;
    if (permission === undefined) throw new Error("a route without a permission was asked for");
    if (permission === "public" || permission === "link") {
      if (!isSafe(request.method)) refuseForeignSite(request.headers, dashboardUrl);
      if (permission === "link") attempts.begin(clientNetwork(request.ip));
      return;
    }
    request.caller = await authenticate(request);
    checkRule(request.caller, { permission, ...rest }, request);
  });

  app.setErrorHandler((error, request, reply) => {
    const known = problemOf(error);
    const retryAfterS = error instanceof RequestError ? error.retryAfterS : undefined;
    if (known !== undefined) return send(reply, known, retryAfterS);
    const errorId = newId();
    log.error("admin request failed", { errorId, route: routeOf(request), ...errorFields(error) });
    const unknown = problem(500, "internal_error", "Something went wrong. The log has more.");
    return send(reply, { ...unknown, instance: `urn:uuid:${errorId}` });
  });

  app.setNotFoundHandler((_request, reply) =>
    send(reply, problem(404, "not_found", "There is nothing at this path.")),
  );

  app.addHook("onResponse", async (request, reply) => {
    const { caller } = request;
    log.info("admin request", {
      method: request.method,
      route: routeOf(request),
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
      remoteAddress: clientNetwork(request.ip),
      ...(caller && {
        [caller.kind === "user" ? "userId" : "apiKeyId"]: caller.id,
        workspaceId: caller.workspaceId,
      }),
    });
  });
}

/** The authenticated caller of a route that asks for one. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === undefined) throw new Error("a route without a caller asked for one");
  return request.caller;
}

/** The signed-in user behind a `person` route. */
export function personOf(request: FastifyRequest): Person {
  const caller = callerOf(request);
  const { session } = caller;
  if (caller.kind !== "user" || session === undefined) {
    throw new Error("a route without a person asked for one");
  }
  return { ...caller, kind: "user", session };
}

/** The same caller, as the audit names it. */
export function actorOf(request: FastifyRequest): Actor {
  const { workspaceId, kind, id, name } = callerOf(request);
  const method = kind === "user" ? "session" : "api_key";
  return { workspaceId, kind, id, name, address: clientOf(request).address, method };
}

/** Fastify's own refusals that come before any hook: a URL that can't be decoded, a parameter that is too long. */
export function answerFrameworkError(
  error: FastifyError,
  _request: FastifyRequest,
  reply: FastifyReply,
): void {
  reply.headers(SECURITY_HEADERS);
  void send(reply, problemOf(error) ?? problem(400, "bad_request", "The request is malformed."));
}

/** Answers what is not HTTP at all, or too large or slow to be read. */
export function answerProtocolError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === "HPE_HEADER_OVERFLOW"
      ? 431
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? 408
        : 400;
  const answer = problem(status, "bad_request", "The request is malformed.");
  const body = JSON.stringify(answer);
  const headers = {
    ...SECURITY_HEADERS,
    "content-type": PROBLEM_TYPE,
    "content-length": Buffer.byteLength(body),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${answer.title}\r\n${lines.join("")}\r\n${body}`);
}

function send(
  reply: FastifyReply,
  answer: Problem,
  retryAfterS = RETRY_AFTER_S[answer.status],
): FastifyReply {
  if (retryAfterS !== undefined) reply.header("retry-after", retryAfterS);
  if (answer.status === 401) reply.header("www-authenticate", 'Bearer realm="x3sproxy"');
  return reply.code(answer.status).type(PROBLEM_TYPE).send(JSON.stringify(answer));
}

function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? "unmatched";
}
