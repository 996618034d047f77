// The data plane's listener: wires Node's server to the way of a request, and says how it ends.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Grants, OpenCall } from "../grants/index.ts";
import type { Limiter } from "../limits/index.ts";
import type { Certificate } from "../certificate.ts";
import type { Clock } from "../clock.ts";
import { boundConnections } from "../connection-bounds.ts";
import type { Config, ListenAddress } from "../config.ts";
import type { RefusalReason } from "../errors.ts";
import { listen } from "../listen.ts";
import { logEnd, type Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Vault } from "../vault/index.ts";
import { createAddressRule } from "./address-rule.ts";
import { Answer, KEEP_ALIVE_MS } from "./answer.ts";
import type { Call, CallContext } from "./call.ts";
import { Connections } from "./connections.ts";
import { createCors } from "./cors.ts";
import { createDeadlineClock, type Waiting } from "./deadlines.ts";
import { drain } from "./drain.ts";
import { createExchanges, type ExchangeSink } from "./exchange.ts";
import { createListener } from "./listener.ts";
import type { OpenCount } from "./open-counts.ts";
import { providerHostSuffix } from "./route.ts";
import { createRegistering } from "./registration.ts";
import { Relay, type RelayContext } from "./relay.ts";
import { Gathered } from "./request-body.ts";
import { createRequestHandler, type Expectation } from "./request-handler.ts";
import { Pipelining, type ParseError } from "./pipelining.ts";
import { createUpstreams } from "./upstream.ts";
import { beginHandshake, WebSocketRelay } from "./websocket.ts";

const MAX_HEADER_BYTES = 64 * 1024;
// Twice the limit of common servers in front (100: Apache, Envoy, HAProxy, Tomcat), so that theirs is met first.
const MAX_FIELDS = 200;
const HEADERS_TIMEOUT_MS = 30_000;
// After this idle time TCP keep-alive probes begin: nothing else notices a client that vanished.
const PROBE_AFTER_MS = 60_000;

const FAILED = "request failed";

export interface Proxy {
  /** Begins to listen; resolves to the actual address. */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /** Drains: see drain.ts. */
  drain(): Promise<void>;
  /** Cuts all open calls at once, so that no answer looks complete; for a process that can't drain. */
  cut(): void;
  /** Emits waiting records; for a process that ends without draining. */
  flush(): void;
  /** The peaks of open calls since the last call of this, by agent and provider. */
  takeOpenCounts(): OpenCount[];
}

export interface ProxyOptions {
  readonly config: Pick<
    Config,
    | "deadlines"
    | "upstreamProxy"
    | "allowPrivateUpstreams"
    | "originOverrides"
    | "publicUrl"
    | "dashboardUrl"
    | "trustedProxies"
    | "corsOrigins"
  >;
  readonly grants: Grants;
  readonly limiter: Limiter;
  readonly vault: Vault;
  /** With it, the listener speaks TLS only. */
  readonly certificate?: Certificate | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The ids of exchanges begin with it. */
  readonly processId?: string;
  /** Gets the exchanges that have ended. */
  readonly onEnded?: ExchangeSink;
}

/** Makes the data plane. */
export function createProxy(o: ProxyOptions): Proxy {
  const { config, grants, limiter, clock, log } = o;
  const exchanges = createExchanges(o);
  const deadlineClock = createDeadlineClock<Waiting & OpenCall>(clock);
  grants.watchOpen((visit) => deadlineClock.each(visit));
  const rule = createAddressRule(config.allowPrivateUpstreams);
  const upstreams = createUpstreams({ ...config, rule, clock });
  const relays: RelayContext = {
    upstreams,
    deadlines: config.deadlines,
    deadlineClock,
    exchanges,
    gathered: new Gathered(),
    publicUrl: config.publicUrl,
    httpDate: createHttpDate(clock),
  };
  const calls: CallContext = {
    grants,
    originOverrides: config.originOverrides,
    hostSuffix: providerHostSuffix(config.publicUrl),
    dashboardUrl: config.dashboardUrl,
    trustedProxies: config.trustedProxies,
  };
  const connections = new Connections();
  const pipelining = new Pipelining();
  const handler = createRequestHandler({
    ...{ calls, grants, limiter, vault: o.vault, exchanges, connections, log },
    cors: createCors(config.corsOrigins),
    registering: createRegistering({ grants, clock, publicUrl: config.publicUrl }),
  });

  const openRelay = (call: Call): Relay => new Relay(relays, call);
  const serve = (request: IncomingMessage, response: Answer, expects?: Expectation): void => {
    const { socket } = response;
    if (socket === null) {
      // A pipelined request waits until the one before it is answered (RFC 9112, 9.3.2): most have unsafe methods.
      connections.follow(request.socket);
      pipelining.wait(request.socket, response, () => serve(request, response, expects));
      return;
    }
    connections.begin(socket, response);
    if (hasTooManyFields(request)) {
      handler.refuseRaw(socket, request.method ?? "", "headers_too_large");
      request.resume();
      return;
    }
    logEnd(
      handler.handle({ request, response, isWebSocket: false, expects, openRelay }),
      log,
      FAILED,
    );
  };

  const serveUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    const handshake = beginHandshake(request, socket, head);
    const { response } = handshake;
    const open = (call: Call): Relay => new WebSocketRelay(relays, call, handshake);
    const call = { request, response, isWebSocket: true, expects: undefined, openRelay: open };
    logEnd(handler.handle(call), log, FAILED);
  };

  const headersTimeoutMs = Math.min(HEADERS_TIMEOUT_MS, config.deadlines.clientIdleMs);
  const options = {
    ServerResponse: Answer,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 3),
    requestTimeout: 0, // an upload may last long; a silent one meets the client's idle timeout
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MS,
    noDelay: true,
    insecureHTTPParser: false,
    requireHostHeader: false, // checked on the request's way, so that a missing one is refused like everything else
    shouldUpgradeCallback: (request: IncomingMessage) =>
      request.method === "GET" && request.headers.upgrade?.toLowerCase() === "websocket",
  };
  const listener = createListener(options, o.certificate);
  const { server } = listener;
  boundConnections(server, { ...o, listener: "proxy", trustedProxies: config.trustedProxies });
  // Some versions of Node drop further fields silently at this limit. It is one above ours, so that such a request is refused anyway.
  server.maxHeadersCount = MAX_FIELDS + 1;
  server.on(o.certificate === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    pipelining.watch(socket);
    // At an upgrade or a CONNECT, Node removes its own listener, and an unhandled error would end the process.
    socket.on("error", () => socket.destroy());
  });
  server.on("request", (request, response) => serve(request, response));
  server.on("checkContinue", (request, response) => serve(request, response, "100-continue"));
  server.on("checkExpectation", (request, response) => serve(request, response, "something else"));
  server.on("upgrade", (request, socket, head) => {
    pipelining.leave(socket);
    if (!connections.isFree(socket)) return;
    if (hasTooManyFields(request)) handler.refuseRaw(socket, "GET", "headers_too_large");
    else serveUpgrade(request, socket, head);
  });
  server.on("connect", (_request, socket) => {
    pipelining.leave(socket);
    if (connections.isFree(socket)) handler.refuseRaw(socket, "CONNECT", "method_not_allowed");
  });
  server.on("clientError", (error: ParseError, socket) => {
    if (pipelining.hasStopped(error, socket)) return;
    if (socket.writableEnded) return; // it is ending already
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else if (connections.isFree(socket)) handler.refuseRaw(socket, "", reasonOf(error));
  });

  return {
    listen: (address) => listen(server, address),
    async drain() {
      const { deadlines } = config;
      await drain({ listener, connections, exchanges, deadlineClock, deadlines, grants, clock });
      deadlineClock.close();
      await upstreams.destroy();
      exchanges.flush();
    },
    cut: () => deadlineClock.each((open) => open.cut("overloaded")),
    flush: () => exchanges.flush(),
    takeOpenCounts: () => exchanges.takeOpenCounts(),
  };
}

/** The Date field for answers that came without one; made once a second. */
function createHttpDate(clock: Clock): () => string {
  let second = -1;
  let text = "";
  return () => {
    const nowS = Math.floor(clock.nowMs() / 1000);
    if (nowS !== second) {
      second = nowS;
      text = new Date(nowS * 1000).toUTCString();
    }
    return text;
  };
}

function hasTooManyFields({ rawHeaders }: IncomingMessage): boolean {
  return rawHeaders.length > 2 * MAX_FIELDS;
}

/** Why bytes could not be read as a request. */
function reasonOf({ code }: NodeJS.ErrnoException): RefusalReason {
  switch (code ?? "") {
    case "HPE_HEADER_OVERFLOW":
      return "headers_too_large";
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "request_timeout";
    default:
      return "bad_request";
  }
}
