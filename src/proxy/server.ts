// The data plane's listener: wires Node's server to the way of a request, and says how it ends.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Access, Limiter, OpenCall } from "../access/index.ts";
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
// Twice what common servers in front take (100: Apache, Envoy, HAProxy, Tomcat), so that no request meets it that meets them.
const MAX_FIELDS = 200;
const HEADERS_TIMEOUT_MS = 30_000;
// After which idle time the system asks a client whether it is still there: nobody else would notice one that vanished.
const PROBE_AFTER_MS = 60_000;

const FAILED = "request failed";

export interface Proxy {
  /** Begins to listen; resolves to the address that it got. */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /**
   * Ends each connection with its next answer, after the drain delay takes no new ones, lets what is open end within the drain
   * deadline, then cuts it.
   */
  drain(): Promise<void>;
  /** Cuts what is open, at once and so that nothing looks whole; for a process that may not drain. */
  cut(): void;
  /** Emits the records that wait; for a process that ends without a drain. */
  flush(): void;
  /** The most calls that were under way at once since this was last asked, by agent and provider. */
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
  readonly access: Access;
  readonly limiter: Limiter;
  readonly vault: Vault;
  /** With it: TLS, and nothing else. */
  readonly certificate?: Certificate | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Of this process, with which exchanges' ids begin. */
  readonly processId?: string;
  /** Is told of each exchange that has ended. */
  readonly onEnded?: ExchangeSink;
}

/** Makes the data plane. */
export function createProxy(o: ProxyOptions): Proxy {
  const { config, access, limiter, clock, log } = o;
  const exchanges = createExchanges(o);
  const deadlineClock = createDeadlineClock<Waiting & OpenCall>(clock);
  access.watchOpen((visit) => deadlineClock.each(visit));
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
    access,
    originOverrides: config.originOverrides,
    hostSuffix: providerHostSuffix(config.publicUrl),
    dashboardUrl: config.dashboardUrl,
    trustedProxies: config.trustedProxies,
  };
  const connections = new Connections();
  const pipelining = new Pipelining();
  const handler = createRequestHandler({
    ...{ calls, access, limiter, vault: o.vault, exchanges, connections, log },
    cors: createCors(config.corsOrigins),
    registering: createRegistering({ access, clock, publicUrl: config.publicUrl }),
  });

  const openRelay = (call: Call): Relay => new Relay(relays, call);
  const serve = (request: IncomingMessage, response: Answer, expects?: Expectation): void => {
    const { socket } = response;
    if (socket === null) {
      // A pipelined request waits until the one before it is answered (RFC 9112, 9.3.2): few have safe methods.
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
    requestTimeout: 0, // uploads may take as long as they go on; silence within one has a deadline of its own
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MS,
    noDelay: true,
    insecureHTTPParser: false,
    requireHostHeader: false, // asked for on the way down, so that its absence is refused as all else is
    shouldUpgradeCallback: (request: IncomingMessage) =>
      request.method === "GET" && request.headers.upgrade?.toLowerCase() === "websocket",
  };
  const listener = createListener(options, o.certificate);
  const { server } = listener;
  boundConnections(server, { ...o, listener: "proxy", trustedProxies: config.trustedProxies });
  // Past its bound Node reads no further and refuses, or, in earlier versions, drops in silence: here only of what is refused for the
  // one field too many.
  server.maxHeadersCount = MAX_FIELDS + 1;
  server.on(o.certificate === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    pipelining.watch(socket);
    // Node takes its own listener away with an upgrade or a CONNECT, and an error that nobody hears ends the process.
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
    if (socket.writableEnded) return; // what is left to do ends by itself
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else if (connections.isFree(socket)) handler.refuseRaw(socket, "", reasonOf(error));
  });

  return {
    listen: (address) => listen(server, address),
    async drain() {
      const { deadlines } = config;
      await drain({ listener, connections, exchanges, deadlineClock, deadlines, access, clock });
      deadlineClock.close();
      await upstreams.destroy();
      exchanges.flush();
    },
    cut: () => deadlineClock.each((open) => open.cut("overloaded")),
    flush: () => exchanges.flush(),
    takeOpenCounts: () => exchanges.takeOpenCounts(),
  };
}

/** Today's date for answers that came without; made once a second. */
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

/** Why bytes are no request. */
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
