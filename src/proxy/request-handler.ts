// The way of one request through the proxy, from its header section to the end of its answer:
//
//   route → token → grant → authorise → admit → release → inject → relay
//
// Each step returns, or throws a Refusal; one catch answers. WebSockets, the probe, registration and our own endpoints are branches of it.
// Every request that goes up takes this way. If its grant has changed since it was authorised, it must be authorised anew.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Grants, Grant } from "../grants/index.ts";
import type { Admission, Limiter, LimitRefusal } from "../limits/index.ts";
import type { RefusalReason } from "../platform/errors.ts";
import { errorFields, type Log } from "../platform/log.ts";
import type { Vault } from "../vault/index.ts";
import type { Answer } from "./answer.ts";
import { admitGrant, authorise, inject, judgeBody, type Authorised } from "./authorisation.ts";
import { Call, type CallContext } from "./call.ts";
import type { Connections } from "./connections.ts";
import type { Cors } from "./cors.ts";
import { findToken } from "./credential-slots.ts";
import { discardRest, endByLinger, linger } from "./endings.ts";
import type { Outcome } from "./exchange.ts";
import type { Exchanges } from "./exchanges.ts";
import { fieldValue, isWellFramed } from "./headers.ts";
import { answerOwn } from "./own-endpoints.ts";
import { rawRefusal, Refusal, refusalFor, sendRefusal, unlessRefused } from "./refusal.ts";
import { REGISTER_PATH, type Registering } from "./registration.ts";
import { ClientLeft, type Relay } from "./relay.ts";
import { noteRequestIds } from "./request-ids.ts";
import { findRoute, isOwn, type CanonicalRoute } from "./route.ts";

// Turns of the loop in sendCurrent: each one decides anew, has a release written to the audit, or sends.
const MAX_TURNS = 12;
const MAX_RELEASES = 3;

/** What a request asks for before its body comes (RFC 9110, 10.1.1); undefined: nothing. */
export type Expectation = "100-continue" | "something else" | undefined;

/** A request whose answer has its turn. */
export interface Incoming {
  readonly request: IncomingMessage;
  readonly response: Answer;
  readonly isWebSocket: boolean;
  readonly expects: Expectation;
  /** Takes its body and relays its answer: the one step in which HTTP and WebSocket differ. */
  readonly openRelay: (call: Call) => Relay;
}

interface Sending {
  readonly relay: Relay;
  readonly token: string;
  readonly route: CanonicalRoute;
  /** As it was decided before its body came. */
  readonly authorised: Authorised;
}

export interface RequestHandler {
  /** Takes a request to the end of its answer. Never rejects. What is refused before the first wait is answered in the same turn. */
  handle(incoming: Incoming): Promise<void>;
  /** Answers bytes that are no request, and requests that Node hands over without a response object. */
  refuseRaw(socket: Socket, method: string, reason: RefusalReason): void;
}

export function createRequestHandler(o: {
  calls: CallContext;
  grants: Grants;
  limiter: Limiter;
  vault: Vault;
  exchanges: Exchanges;
  registering: Registering;
  connections: Connections;
  cors: Cors;
  log: Log;
}): RequestHandler {
  const { calls, grants, limiter, vault, exchanges, registering, connections, cors, log } = o;

  async function handle(incoming: Incoming): Promise<void> {
    const { request, response, expects } = incoming;
    const exchange = exchanges.begin(request.method ?? "");
    exchange.websocket = incoming.isWebSocket;
    const call = new Call(calls, exchange, incoming);
    try {
      if (expects === "something else") throw refusalFor("expectation_failed");
      allowPage(request, response);
      if (cors.isPreflight(request)) {
        answerPreflight(call);
        return;
      }
      const route = routeOf(call);
      if (isRegistration(route, exchange.method)) {
        await register(call);
        return;
      }
      const token = tokenOf(call, route);
      if (token === undefined) {
        answerProbe(call);
        return;
      }
      // The synchronous short cut: a remembered grant, and limits in memory, are not awaited. So the body has its listener before Node's
      // parser hands it over; otherwise it goes through a stream's buffer first. That saves 7 % of a small POST's CPU, and 17 % of a
      // 150 kB prompt's.
      const resolved = grants.resolve(token, exchange.address, request.socket);
      const found = resolved instanceof Promise ? await resolved : resolved;
      refuseLeft(response);
      const grant = admitGrant(grants, call, found);
      if (isOwn(route)) {
        answerOwnEndpoint(call, route, grant);
        return;
      }
      const authorised = authorise(grants, call, grant, route);
      if (grant.limited) {
        const entered = limiter.enter(grant, exchange);
        admitWithinLimits(call, entered instanceof Promise ? await entered : entered);
      }
      exchanges.countOpen(exchange);
      if (expects === "100-continue") response.writeContinue();
      const relay = incoming.openRelay(call);
      try {
        exchanges.end(exchange, await sendCurrent(call, { relay, token, route, authorised }));
      } finally {
        relay.close();
      }
    } catch (failure) {
      answerFailure(call, failure);
    }
  }

  /**
   * Sends the request in the same turn of the event loop as the check that allows it. Resolves to how it ended. Rejects with Refusal,
   * ClientLeft, or an unforeseen error.
   */
  async function sendCurrent(call: Call, o: Sending): Promise<Outcome> {
    const { relay, token, route } = o;
    let authorised: Authorised | undefined = o.authorised;
    const body = await relay.takeBody();
    let bodyIsJudged = false;
    let releases = 0;
    for (let turns = 0; turns < MAX_TURNS; turns++) {
      if (authorised === undefined || !call.isCurrent()) {
        const grant = admitGrant(grants, call, await relay.unlessFailed(resolve(call, token)));
        authorised = authorise(grants, call, grant, route);
        bodyIsJudged = false;
        continue;
      }
      if (body !== undefined && !bodyIsJudged) {
        judgeBody(authorised, body);
        bodyIsJudged = true;
      }
      const { secret } = authorised;
      if (secret.released === undefined) {
        if (releases++ === MAX_RELEASES) throw refusalFor("store_unavailable");
        const { address } = call.exchange;
        const denied = await relay.unlessFailed(grants.release(relay.grant, secret, address));
        if (denied !== undefined) throw refusalFor(denied);
        continue;
      }
      const ended = await relay.send(inject(vault, call, authorised, secret.released));
      if (ended !== "again") return ended;
      authorised = undefined; // a reader reads one body once
    }
    throw refusalFor("overloaded");
  }

  function routeOf(call: Call): CanonicalRoute {
    const { request, exchange } = call;
    const { rawHeaders, httpVersion, url = "" } = request;
    if (!isWellFramed(rawHeaders, httpVersion)) throw refusalFor("bad_request");
    const route = unlessRefused(findRoute(url, fieldValue(rawHeaders, "host"), calls.hostSuffix));
    call.noteRoute(route);
    if (!hasCanonicalPath(route)) throw refusalFor("bad_path");
    if (exchange.method === "CONNECT" || exchange.method === "TRACE") {
      throw refusalFor("method_not_allowed");
    }
    return route;
  }

  /** Undefined: there is none, and the request is only a look whether anything is there, as some clients begin with. */
  function tokenOf(call: Call, route: CanonicalRoute): string | undefined {
    const { request, exchange } = call;
    const found = findToken(request.rawHeaders, route.query);
    const probes = exchange.method === "HEAD" && route.path === "/" && exchange.providerIsBuiltIn;
    if (found === "missing_token" && probes) return undefined;
    const { token, hasContext, hasIds } = unlessRefused(found);
    call.hasContext = hasContext;
    if (hasIds) noteRequestIds(exchange, request.rawHeaders);
    return token;
  }

  async function resolve({ exchange, request }: Call, token: string) {
    return grants.resolve(token, exchange.address, request.socket);
  }

  /** Notes that the limits of its agent and workspace admit it. Throws Refusal if they don't, ClientLeft if its client has left. */
  function admitWithinLimits(call: Call, admitted: Admission | LimitRefusal): void {
    const { exchange, response } = call;
    if ("reason" in admitted) {
      call.retryAfterS = admitted.retryAfterS;
      throw refusalFor(admitted.reason);
    }
    exchange.admission = admitted;
    refuseLeft(response);
  }

  /** Lets a page of a listed origin read the answer, whatever it will be. */
  function allowPage(request: IncomingMessage, response: Answer): void {
    const fields = cors.fields(request);
    if (fields.length === 0) return;
    response.added = fields;
    for (let i = 0; i + 1 < fields.length; i += 2) {
      response.setHeader(fields[i] ?? "", fields[i + 1] ?? "");
    }
  }

  async function register(call: Call): Promise<void> {
    const { exchange, request, response } = call;
    noteRequestIds(exchange, request.rawHeaders);
    await registering.answer(call);
    exchanges.end(exchange, response.destroyed ? "client_left" : "completed");
  }

  function answerPreflight({ exchange, request, response }: Call): void {
    if (!cors.answerPreflight(request, response)) throw refusalFor("page_not_allowed");
    exchange.status = 204;
    noteRequestIds(exchange, request.rawHeaders);
    if (!request.complete) discardRest(request);
    exchanges.end(exchange, "completed");
  }

  function answerProbe({ exchange, request, response }: Call): void {
    exchange.status = 200;
    noteRequestIds(exchange, request.rawHeaders);
    response.writeHead(200, ["cache-control", "no-store"]);
    response.end();
    exchanges.end(exchange, "completed");
  }

  function answerOwnEndpoint({ exchange, response }: Call, { path }: CanonicalRoute, grant: Grant) {
    if (!answerOwn(response, exchange.method, path, grant)) throw refusalFor("not_found");
    exchange.status = 200;
    exchanges.end(exchange, "completed");
  }

  /** Ends a call that failed before its answer. */
  function answerFailure(call: Call, failure: unknown): void {
    const { exchange, request } = call;
    if (failure instanceof ClientLeft) {
      exchanges.end(exchange, "client_left");
      return;
    }
    if (!(failure instanceof Refusal)) {
      log.error("request failed", { exchangeId: exchange.id, ...errorFields(failure) });
    }
    const reason = failure instanceof Refusal ? failure.reason : "internal_error";
    // Without a grant its ids may not be noted yet; noting them twice does no harm.
    if (exchange.agentId === undefined) noteRequestIds(exchange, request.rawHeaders);
    answerRefusal(call, reason);
    exchanges.end(exchange, "refused", reason);
  }

  /** Answers with `reason` in the provider's error shape. An answer that has begun can only be broken off. */
  function answerRefusal(call: Call, reason: RefusalReason): void {
    const { exchange, request, response } = call;
    if (response.begun || response.destroyed) {
      response.destroy();
      return;
    }
    // The client may or may not send its body now, is late with it, or its framing is in doubt: the next bytes could be taken for a request.
    const ends =
      reason === "request_timeout" ||
      reason === "bad_request" ||
      fieldValue(request.rawHeaders, "expect") !== undefined;
    exchange.status = sendRefusal(response, reason, call.refusalContext(), ends);
    if (request.complete) return;
    discardRest(request);
    if (connections.draining) endByLinger(request.socket);
  }

  return {
    handle,
    refuseRaw(socket, method, reason) {
      const exchange = exchanges.begin(method);
      const { status, text } = rawRefusal(reason, {
        exchangeId: exchange.id,
        errorShape: "openai",
        provider: undefined,
        agent: undefined,
        environment: undefined,
        sensitiveEndpoint: undefined,
        namedProvider: undefined,
        dashboardUrl: calls.dashboardUrl,
        retryAfterS: undefined,
      });
      exchange.status = status;
      socket.write(text);
      linger(socket);
      exchanges.end(exchange, "refused", reason);
    },
  };
}

function hasCanonicalPath(route: { canonicalPath: string | undefined }): route is CanonicalRoute {
  return route.canonicalPath !== undefined;
}

function isRegistration(route: CanonicalRoute, method: string): boolean {
  return isOwn(route) && route.path === REGISTER_PATH && method === "POST";
}

/** Throws ClientLeft where there is nobody left to answer. */
function refuseLeft(response: Answer): void {
  if (response.destroyed) throw new ClientLeft();
}
