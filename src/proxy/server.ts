// The data plane's listener and the way of a request: decide, then forward, tunnel, answer ourselves or refuse. Nothing is
// forwarded that did not come down this line.
import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Access, Grant, Limiter, OpenCall } from "../access/index.ts";
import type { Certificate } from "../certificate.ts";
import type { Clock } from "../clock.ts";
import type { Config, ListenAddress } from "../config.ts";
import type { RefusalReason } from "../errors.ts";
import { listen } from "../listen.ts";
import { errorFields, type Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Vault } from "../vault/index.ts";
import type { Duplex } from "node:stream";
import { createAddressRule } from "./address-rule.ts";
import { Answer, KEEP_ALIVE_MS } from "./answer.ts";
import { Call, type CallContext, type Verdict } from "./call.ts";
import { createDeadlineClock, type Waiting } from "./deadlines.ts";
import { createExchanges, type ExchangeSink } from "./exchange.ts";
import { discardRest, endByLinger, linger, reset } from "./endings.ts";
import { Forwarding, type ForwardContext } from "./forward.ts";
import { fieldValue } from "./headers.ts";
import { createListener } from "./listener.ts";
import type { OpenCount } from "./open-counts.ts";
import { answerOwn } from "./own-endpoints.ts";
import { noteRequestIds } from "./request-ids.ts";
import { rawRefusal, sendRefusal, type RefusalContext } from "./refusal.ts";
import { providerHostSuffix } from "./route.ts";
import { beginHandshake, Tunnel } from "./upgrade.ts";
import { createRegistering } from "./registration.ts";
import { createUpstreams } from "./upstream.ts";

const MAX_HEADER_BYTES = 64 * 1024;
const HEADERS_TIMEOUT_MS = 30_000;
// After which idle time the system asks a client whether it is still there: nobody else would notice one that vanished.
const PROBE_AFTER_MS = 60_000;
const DRAIN_POLL_MS = 50;
// A connection that was told, before the drain, that it is kept: for so long after its answer the next request may come on it.
const KEPT_MS = 1000;
// How long what was cut may take to say goodbye.
const CUT_WITHIN_MS = 2000;

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
  const upstreams = createUpstreams({ ...config, rule });
  const forwarding: ForwardContext = {
    upstreams,
    deadlines: config.deadlines,
    deadlineClock,
    exchanges,
    httpDate: createHttpDate(clock),
  };
  const calls: CallContext = {
    access,
    vault: o.vault,
    originOverrides: config.originOverrides,
    hostSuffix: providerHostSuffix(config.publicUrl),
    dashboardUrl: config.dashboardUrl,
    trustedProxies: config.trustedProxies,
  };
  const registering = createRegistering({ access, clock, publicUrl: config.publicUrl });
  const answers = new WeakMap<Duplex, Answer>();
  /** Of connections with pipelined requests, the answer to the last one; and the answers that others are to follow. */
  const lastOf = new WeakMap<Duplex, Answer>();
  const followed = new WeakSet<Answer>();
  let draining = false;

  /** Down the line; `forward` is the one step in which HTTP and WebSocket differ. */
  const handle = (
    request: IncomingMessage,
    response: Answer,
    isWebSocket: boolean,
    forward: (call: Call, verdict: Extract<Verdict, { kind: "forward" }>) => void,
  ): void => {
    const exchange = exchanges.begin(request.method ?? "");
    exchange.websocket = isWebSocket;
    const call = new Call(calls, exchange, request);
    try {
      call.decide((verdict) => {
        if (response.destroyed) {
          exchanges.end(exchange, "client_left");
          return;
        }
        try {
          switch (verdict.kind) {
            case "refuse":
              refuse(call, response, verdict.reason);
              break;
            case "probe":
              answer(call, response, 200);
              break;
            case "register":
              noteRequestIds(exchange, request.rawHeaders);
              registering.answer(call, response, (reason) => {
                if (response.destroyed) exchanges.end(exchange, "client_left");
                else if (reason === undefined) exchanges.end(exchange, "completed");
                else refuse(call, response, reason);
              });
              break;
            case "own":
              if (answerOwn(response, exchange.method, verdict.path, verdict.grant)) {
                exchange.status = 200;
                exchanges.end(exchange, "completed");
              } else refuse(call, response, "not_found");
              break;
            case "forward":
              if (call.grant?.limited === true) {
                enter(call, call.grant, response, () => forward(call, verdict));
              } else {
                exchanges.countOpen(exchange);
                forward(call, verdict);
              }
          }
        } catch (error) {
          fail(call, response, error);
        }
      });
    } catch (error) {
      fail(call, response, error);
    }
  };

  /** Forwards once the limits of the agent and its workspace let the call in. */
  const enter = (call: Call, grant: Grant, response: Answer, forward: () => void): void => {
    const { exchange } = call;
    const proceed = (entered: Awaited<ReturnType<Limiter["enter"]>>): void => {
      if ("reason" in entered) {
        call.retryAfterS = entered.retryAfterS;
        refuse(call, response, entered.reason);
        return;
      }
      exchange.admission = entered;
      if (response.destroyed) {
        exchanges.end(exchange, "client_left");
        return;
      }
      exchanges.countOpen(exchange);
      forward();
    };
    const entered = limiter.enter(grant, exchange);
    if (entered instanceof Promise) {
      void entered.then(proceed).catch((error: unknown) => fail(call, response, error));
    } else {
      proceed(entered);
    }
  };

  const fail = (call: Call, response: Answer, error: unknown): void => {
    log.error("request failed", { exchangeId: call.exchange.id, ...errorFields(error) });
    refuse(call, response, "internal_error");
  };

  const answer = (call: Call, response: Answer, status: number): void => {
    call.exchange.status = status;
    noteRequestIds(call.exchange, call.request.rawHeaders);
    response.writeHead(status, ["cache-control", "no-store"]);
    response.end();
    exchanges.end(call.exchange, "completed");
  };

  const refuse = (call: Call, response: Answer, reason: RefusalReason): void => {
    const { exchange, request } = call;
    // What was refused before its token was looked for.
    if (exchange.agentId === undefined) noteRequestIds(exchange, request.rawHeaders);
    if (response.begun || response.destroyed) {
      response.destroy();
    } else {
      // What comes next can't be told from a request: of a client that may or may not send its body now, that is late with
      // it, or whose framing is in doubt.
      const ends =
        reason === "request_timeout" ||
        reason === "bad_request" ||
        fieldValue(request.rawHeaders, "expect") !== undefined;
      exchange.status = sendRefusal(response, reason, call.refusalContext(), ends);
      if (!request.complete) {
        discardRest(request);
        if (draining) endByLinger(request.socket);
      }
    }
    exchanges.end(exchange, "refused", reason);
  };

  /** Its connection ends with it, unless it is to carry another answer that is already asked for. */
  const endConnectionWith = (response: Answer): void => {
    response.shouldKeepAlive = followed.has(response);
  };

  /** Notes that a request has come behind another one. */
  const follow = (socket: Socket, response: Answer): void => {
    const last = lastOf.get(socket);
    const before = last === undefined || last.closed ? answers.get(socket) : last;
    lastOf.set(socket, response);
    if (before === undefined) return;
    followed.add(before);
    if (draining && !before.begun) endConnectionWith(before);
  };

  const serve = (request: IncomingMessage, response: Answer, waits: boolean): void => {
    // A pipelined request waits until the one before it is answered (RFC 9112, 9.3.2): few have safe methods.
    if (response.socket === null) {
      follow(request.socket, response);
      response.once("socket", () => serve(request, response, waits));
      return;
    }
    answers.set(response.socket, response);
    if (draining) endConnectionWith(response);
    handle(request, response, false, (call, { plan, grant }) => {
      if (waits) response.writeContinue();
      new Forwarding(forwarding, grant, call.exchange, request, response, plan, (reason) =>
        refuse(call, response, reason),
      ).start();
    });
  };

  const serveUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    const handshake = beginHandshake(request, socket, head);
    const { response } = handshake;
    handle(request, response, true, (call, { plan, grant, subprotocolScheme }) => {
      const { exchange } = call;
      new Tunnel(
        forwarding,
        grant,
        exchange,
        request,
        handshake,
        plan,
        (reason) => refuse(call, response, reason),
        subprotocolScheme,
      ).start();
    });
  };

  /** For bytes that are no request, and for requests that Node hands over without a response object. */
  const refuseRaw = (socket: Socket, method: string, reason: RefusalReason): void => {
    const exchange = exchanges.begin(method);
    const context: RefusalContext = {
      exchangeId: exchange.id,
      errorShape: "openai",
      provider: undefined,
      agent: undefined,
      environment: undefined,
      sensitiveEndpoint: undefined,
      dashboardUrl: config.dashboardUrl,
      retryAfterS: undefined,
    };
    const { status, text } = rawRefusal(reason, context);
    exchange.status = status;
    socket.write(text);
    linger(socket);
    exchanges.end(exchange, "refused", reason);
  };

  /** Whether a socket is free for an answer. If another is under way on it, ends it: the two would be taken for each other. */
  const isFree = (socket: Duplex): socket is Socket => {
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return false;
    }
    const current = answers.get(socket);
    if (current === undefined || current.closed) return true;
    if (current.ended) socket.destroySoon();
    else reset(socket); // an answer without a length must not look whole
    return false;
  };

  /** Has each connection end with its answer; gives those of the answers for which it is too late, since they have begun. */
  const endKeptConnections = (): Answer[] => {
    const begun: Answer[] = [];
    listener.each((socket) => {
      const current = answers.get(socket);
      if (current === undefined || current.closed) return;
      if (current.begun) begun.push(current);
      else endConnectionWith(current);
    });
    return begun;
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
  server.maxHeadersCount = 0; // their size is limited; more than Node's number of them would be dropped in silence
  server.on("request", (request, response) => serve(request, response, false));
  server.on("checkContinue", (request, response) => serve(request, response, true));
  server.on("checkExpectation", (request: IncomingMessage, response: Answer) => {
    refuse(
      new Call(calls, exchanges.begin(request.method ?? ""), request),
      response,
      "expectation_failed",
    );
  });
  server.on("upgrade", (request, socket, head) => {
    if (isFree(socket)) serveUpgrade(request, socket, head);
  });
  server.on("connect", (_request, socket) => {
    if (isFree(socket)) refuseRaw(socket, "CONNECT", "method_not_allowed");
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (socket.writableEnded) return; // what is left to do ends by itself
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else if (isFree(socket)) refuseRaw(socket, "", reasonOf(error));
  });

  return {
    listen: (address) => listen(server, address),
    async drain() {
      const { drainMs, drainDelayMs } = config.deadlines;
      const untilMs = clock.monotonicMs() + drainMs;
      draining = true;
      let kept = endKeptConnections();
      await delay(Math.min(drainDelayMs, drainMs));
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const keptMs = drainDelayMs === 0 ? 0 : KEPT_MS;
      let keptUntilMs = 0;
      for (;;) {
        const nowMs = clock.monotonicMs();
        const open = kept.filter((answer) => !answer.closed);
        if (open.length < kept.length) keptUntilMs = nowMs + keptMs;
        kept = open;
        if (nowMs >= untilMs || (exchanges.open === 0 && nowMs >= keptUntilMs)) break;
        if (nowMs >= keptUntilMs) server.closeIdleConnections();
        await delay(DRAIN_POLL_MS);
      }
      const sweep = access.beginCutting();
      deadlineClock.each((open) => {
        if (open.cut("stopping")) sweep.add(open.grant, "stopping");
      });
      sweep.end();
      const goneMs = clock.monotonicMs() + CUT_WITHIN_MS;
      while (exchanges.open > 0 && clock.monotonicMs() < goneMs) await delay(DRAIN_POLL_MS);
      await listener.endConnections();
      await closed;
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
