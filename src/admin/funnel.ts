// The steps of every request to the admin side: headers, Host, authentication, permission, errors, the log line. A route only declares who
// may use it. It must never authenticate or answer an error by itself.
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Actor } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Cidr } from "../platform/addresses.ts";
import type { ListenAddress } from "../platform/config.ts";
import { clientNetwork, sourceAddress } from "../platform/addresses.ts";
import { SESSION_HEADER, type RoutePermission } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import { newId } from "../platform/ids.ts";
import type { Caller, Identity, Person, SessionCredential } from "../identity/index.ts";
import { createFailures } from "../limits/index.ts";
import { errorFields, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { readTraceparent } from "../platform/trace.ts";
import { isLoopbackHost, isOwnHost, plainOverNetwork } from "./addresses.ts";
import { isForPerson, securityHeaders, sendProblem } from "./answers.ts";
import { checkRule, clientOf, createAuthentication, tooManyFailures } from "./authentication.ts";
import { createSessionCookie, isSafe, refuseForeignSite } from "./browsers.ts";
import { HTML_TYPE } from "./html.ts";
import { countPeople } from "./people-meter.ts";
import { problem, problemOf } from "./problem.ts";

declare module "fastify" {
  /** A RouteRule, as far as it is declared. */
  interface FastifyContextConfig {
    permission?: RoutePermission;
    fresh?: boolean | undefined;
    forAgent?: boolean | undefined;
    forSession?: boolean | undefined;
    emergency?: boolean | undefined;
  }
  interface FastifyRequest {
    caller: Caller | undefined;
    /** The client's address; empty if unknown. */
    address: string;
    /** What the caller's session was shown by. */
    session: SessionCredential | undefined;
    askAgain: (() => Promise<void>) | undefined;
  }
}

// RFC 9110, 5.3. For some of these fields Node keeps the first line and drops the others; it joins the lines of the rest.
const SINGLETONS: ReadonlySet<string> = new Set([
  "authorization",
  "content-length",
  "content-type",
  "host",
  "idempotency-key",
  "origin",
  "sec-fetch-site",
  SESSION_HEADER,
]);

/** How many authentications of one network may fail in a minute. */
const MAX_FAILURES = 20;
/** Of a one-time link that doesn't exist. It counts as a failed authentication. */
const BAD_LINK: ReadonlySet<string> = new Set(["link_invalid", "setup_link_invalid"]);

interface FunnelOptions {
  readonly identity: Pick<Identity, "authenticateApiKey" | "authenticateSession">;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly dashboardUrl: string;
  /** The proxies whose X-Forwarded-For is believed; absent: none. */
  readonly trustedProxies?: readonly Cidr[];
  readonly listening: () => ListenAddress | undefined;
}

/** Adds these steps to every route that is added to `app` afterwards. */
export function installFunnel(app: FastifyInstance, options: FunnelOptions): void {
  const { identity, log, clock, dashboardUrl, trustedProxies = [], listening } = options;
  const failures = createFailures({ perMinute: MAX_FAILURES, clock });
  const secure = dashboardUrl.startsWith("https:");
  const headers = securityHeaders({ secure });
  const cookie = createSessionCookie(dashboardUrl);
  const authenticate = createAuthentication({ identity, failures, cookie, dashboardUrl });

  app.decorateRequest("caller", undefined);
  app.decorateRequest("address", "");
  app.decorateRequest("session", undefined);
  app.decorateRequest("askAgain", undefined);
  countPeople(app, options.metrics);

  app.addHook("onRoute", ({ method, url, config }) => {
    if (config?.permission === undefined) {
      throw new Error(`route ${String(method)} ${url} declares no permission`);
    }
  });

  app.addHook("onRequest", async (request, reply) => {
    reply.headers(headers);
    const { remoteAddress } = request.socket;
    const { rawHeaders } = request.raw;
    request.address = sourceAddress(remoteAddress, rawHeaders, trustedProxies) ?? "";
    const lacksHost = request.headers.host === undefined && request.raw.httpVersion !== "1.0";
    if (lacksHost || repeatsSingleton(rawHeaders)) {
      throw new RequestError(400, "bad_request", "The request is malformed."); // RFC 9112, 3.2
    }
    const local = request.socket.localAddress;
    if (!isOwnHost(request.headers.host, { dashboardUrl, listening: listening(), local })) {
      throw new RequestError(
        421,
        "host_not_allowed",
        "This service does not answer to that host name. Set X3SPROXY_DASHBOARD_URL to the URL that you use.",
      );
    }
    if (request.is404) return;
    const {
      permission,
      forSession = false,
      emergency = false,
      ...rest
    } = request.routeOptions.config;
    if (permission === undefined) throw new Error("a route without a permission was asked for");
    if (forSession) refusePlainNetwork(request.headers.host, dashboardUrl);
    if (permission === "public" || permission === "link") {
      if (!isSafe(request.method)) refuseForeignSite(request.headers, dashboardUrl);
      return;
    }
    request.caller = await authenticate(request, emergency);
    checkRule(request.caller, { permission, ...rest }, request);
    request.askAgain = async () => {
      const caller = await authenticate(request, emergency);
      checkRule(caller, { permission, ...rest, fresh: false }, request);
    };
  });

  /** The error to answer with: past the limit of failures, a bad link gets 429 instead of its own error. */
  function counted(error: unknown, request: FastifyRequest): unknown {
    if (!(error instanceof RequestError) || !BAD_LINK.has(error.code)) return error;
    return failures.count(clientNetwork(request.address)) > 0 ? tooManyFailures() : error;
  }

  app.setErrorHandler((thrown, request, reply) => {
    const error = counted(thrown, request);
    const known = problemOf(error);
    request.problemCode = known?.code;
    const retryAfterS = error instanceof RequestError ? error.retryAfterS : undefined;
    // The client broke off, so nobody reads an answer. Anybody can cause this, so it must not fill the log.
    if (request.raw.errored !== null && error === request.raw.errored) {
      log.debug("a client broke off its request", { route: routeOf(request) });
      return sendProblem(reply, problem(400, "bad_request", "The request broke off."));
    }
    if (known !== undefined) return sendProblem(reply, known, retryAfterS);
    const errorId = newId();
    log.error("admin request failed", { errorId, route: routeOf(request), ...errorFields(error) });
    const unknown = problem(500, "internal_error", "Something went wrong. The log has more.");
    return sendProblem(reply, { ...unknown, instance: `urn:uuid:${errorId}` });
  });

  app.setNotFoundHandler((request, reply) => {
    const { dashboardPage } = app;
    if (dashboardPage !== undefined && isForPerson(request)) {
      return reply.code(404).type(HTML_TYPE).send(dashboardPage);
    }
    return sendProblem(reply, problem(404, "not_found", "There is nothing at this path."));
  });

  app.addHook("onResponse", async (request, reply) => {
    const { caller } = request;
    log.info("admin request", {
      method: request.method,
      route: routeOf(request),
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
      remoteAddress: clientNetwork(request.address),
      ...readTraceparent(request.headers["traceparent"]),
      ...(caller && {
        [caller.kind === "user" ? "userId" : "apiKeyId"]: caller.id,
        workspaceId: caller.workspaceId,
      }),
    });
  });
}

/** The authenticated caller. Only for routes that require one. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === undefined) throw new Error("a route without a caller asked for one");
  return request.caller;
}

/** For a route that waited for another service: authenticates again, and throws RequestError if the caller may no longer use the route. */
export async function refuseShutOut(request: FastifyRequest): Promise<void> {
  if (request.askAgain === undefined) throw new Error("a route without a caller asked for one");
  await request.askAgain();
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

/** The caller in the form that the audit records. */
export function actorOf(request: FastifyRequest): Actor {
  const { workspaceId, kind, id, name } = callerOf(request);
  const method = kind === "user" ? "session" : "api_key";
  return { workspaceId, kind, id, name, address: clientOf(request).address, method };
}

/**
 * Throws RequestError 403 `https_needed` if a browser reaches us by plain HTTP over a network: the session's cookie would be sent
 * unencrypted.
 */
function refusePlainNetwork(host: string | undefined, dashboardUrl: string): void {
  const local = dashboardUrl.startsWith("https:") || isLoopbackHost(`http://${host ?? ""}`);
  if (local && !plainOverNetwork(dashboardUrl)) return;
  throw new RequestError(
    403,
    "https_needed",
    "Nobody signs in by plain http over a network. Give the service a certificate (X3SPROXY_TLS_CERT_FILE, X3SPROXY_TLS_KEY_FILE), " +
      "or put a TLS proxy in front and set X3SPROXY_DASHBOARD_URL to its https URL.",
  );
}

/** Whether a single-valued field that decides something comes twice: a proxy in front might have read the other line. */
function repeatsSingleton(rawHeaders: readonly string[]): boolean {
  const seen = new Set<string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? "";
    if (!SINGLETONS.has(name)) continue;
    if (seen.has(name)) return true;
    seen.add(name);
  }
  return false;
}

function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? "unmatched";
}
