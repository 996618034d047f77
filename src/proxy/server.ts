// The data plane's listener and the way of a request: decide, then forward, tunnel, answer ourselves or refuse. Nothing is
// forwarded that did not come down this line.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Access } from "../access/index.ts";
import type { Clock } from "../clock.ts";
import type { Config, ListenAddress } from "../config.ts";
import type { RefusalReason } from "../errors.ts";
import { listen } from "../listen.ts";
import { errorFields, type Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Vault } from "../vault/index.ts";
import type { Duplex } from "node:stream";
import { createAddressRule } from "./address-rule.ts";
import { Call, type CallContext, type Verdict } from "./call.ts";
import { createDeadlineClock } from "./deadlines.ts";
import { createExchanges } from "./exchange.ts";
import { discardRest, Forwarding, type ForwardContext } from "./forward.ts";
import { fieldValue } from "./headers.ts";
import { answerOwn } from "./own-endpoints.ts";
import { rawRefusal, sendRefusal, type RefusalContext } from "./refusal.ts";
import { providerHostSuffix } from "./route.ts";
import { Tunnel, upgradeResponse } from "./upgrade.ts";
import { createUpstreams } from "./upstream.ts";

const MAX_HEADER_BYTES = 64 * 1024;
const HEADERS_TIMEOUT_MS = 30_000;
// Longer than the idle time of common load balancers in front, so that it is they who close.
const KEEP_ALIVE_MS = 75_000;
const DRAIN_POLL_MS = 50;

export interface Proxy {
  /** Begins to listen; resolves to the address that it got. */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /** Takes no new work, lets what is open end within the drain deadline, then cuts it. */
  drain(): Promise<void>;
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
  >;
  readonly access: Access;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Makes the data plane. */
export function createProxy(o: ProxyOptions): Proxy {
  const { config, access, clock, log } = o;
  const exchanges = createExchanges(o);
  const deadlineClock = createDeadlineClock(clock);
  const rule = createAddressRule(config.allowPrivateUpstreams);
  const upstreams = createUpstreams({ ...config, rule });
  const forwarding: ForwardContext = {
    upstreams,
    deadlines: config.deadlines,
    deadlineClock,
    exchanges,
  };
  const calls: CallContext = {
    access,
    vault: o.vault,
    originOverrides: config.originOverrides,
    hostSuffix: providerHostSuffix(config.publicUrl),
    dashboardUrl: config.dashboardUrl,
  };
  const tunnels = new Set<Tunnel>();

  /** Down the line; `forward` is the one step in which HTTP and WebSocket differ. */
  const handle = (
    request: IncomingMessage,
    response: ServerResponse,
    forward: (call: Call, verdict: Extract<Verdict, { kind: "forward" }>) => void,
  ): void => {
    const exchange = exchanges.begin(request.method ?? "");
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
            case "own":
              if (answerOwn(response, exchange.method, verdict.path, verdict.grant)) {
                exchange.status = 200;
                exchanges.end(exchange, "completed");
              } else refuse(call, response, "not_found");
              break;
            case "forward":
              forward(call, verdict);
          }
        } catch (error) {
          fail(call, response, error);
        }
      });
    } catch (error) {
      fail(call, response, error);
    }
  };

  const fail = (call: Call, response: ServerResponse, error: unknown): void => {
    log.error("request failed", { exchangeId: call.exchange.id, ...errorFields(error) });
    if (response.headersSent) response.destroy();
    else refuse(call, response, "internal_error");
  };

  const answer = (call: Call, response: ServerResponse, status: number): void => {
    call.exchange.status = status;
    response.writeHead(status, ["cache-control", "no-store"]);
    response.end();
    exchanges.end(call.exchange, "completed");
  };

  const refuse = (call: Call, response: ServerResponse, reason: RefusalReason): void => {
    const { exchange, request } = call;
    if (response.headersSent || response.destroyed) {
      response.destroy();
    } else {
      // A client that waits for "100 Continue" may or may not send its body now: the connection can't be reused.
      const waits = fieldValue(request.rawHeaders, "expect") !== undefined;
      exchange.status = sendRefusal(response, reason, call.refusalContext(), waits);
      if (!request.complete) discardRest(request);
    }
    exchanges.end(exchange, "refused", reason);
  };

  const serve = (request: IncomingMessage, response: ServerResponse, waits: boolean): void => {
    handle(request, response, (call, { plan }) => {
      if (waits) response.writeContinue();
      new Forwarding(forwarding, call.exchange, request, response, plan, (reason) =>
        refuse(call, response, reason),
      ).start();
    });
  };

  const serveUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    const response = upgradeResponse(request, socket);
    handle(request, response, (call, { plan, subprotocolScheme }) => {
      const { grant, exchange } = call;
      if (grant === undefined) throw new Error("a forwarded call has a grant");
      exchange.websocket = true;
      const tunnel = new Tunnel(
        forwarding,
        exchange,
        request,
        response,
        plan,
        (reason) => refuse(call, response, reason),
        head,
        { subprotocolScheme, watch: (onRevoked) => access.watch(grant, onRevoked) },
      );
      tunnels.add(tunnel);
      socket.once("close", () => tunnels.delete(tunnel));
      tunnel.start();
    });
  };

  /** For bytes that are no request, and for requests that Node hands over without a response object. */
  const refuseRaw = (socket: Duplex, method: string, reason: RefusalReason): void => {
    const exchange = exchanges.begin(method);
    const context: RefusalContext = {
      exchangeId: exchange.id,
      errorShape: "openai",
      provider: undefined,
      environment: undefined,
      sensitiveEndpoint: undefined,
      dashboardUrl: config.dashboardUrl,
    };
    if (socket.writable) socket.end(rawRefusal(reason, context));
    socket.on("error", () => socket.destroy());
    exchanges.end(exchange, "refused", reason);
  };

  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0, // uploads may take as long as they go on; silence within one has a deadline of its own
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
    insecureHTTPParser: false,
    shouldUpgradeCallback: (request: IncomingMessage) =>
      request.method === "GET" && request.headers.upgrade?.toLowerCase() === "websocket",
  });
  server.on("request", (request, response) => serve(request, response, false));
  server.on("checkContinue", (request, response) => serve(request, response, true));
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    refuse(
      new Call(calls, exchanges.begin(request.method ?? ""), request),
      response,
      "expectation_failed",
    );
  });
  server.on("upgrade", (request, socket, head) => {
    if (socket instanceof Socket) serveUpgrade(request, socket, head);
    else socket.destroy();
  });
  server.on("connect", (_request, socket) => {
    refuseRaw(socket, "CONNECT", "method_not_allowed");
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET" || !socket.writable || hasAnswerUnderWay(socket)) {
      socket.destroy();
      return;
    }
    refuseRaw(
      socket,
      "",
      error.code === "HPE_HEADER_OVERFLOW"
        ? "headers_too_large"
        : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
          ? "request_timeout"
          : "bad_request",
    );
  });

  return {
    listen: (address) => listen(server, address),
    async drain() {
      const until = clock.monotonicMs() + config.deadlines.drainMs;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      while (exchanges.open > 0 && clock.monotonicMs() < until) {
        server.closeIdleConnections();
        await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
      }
      for (const tunnel of tunnels) tunnel.cut();
      server.closeAllConnections();
      await closed;
      deadlineClock.close();
      await upstreams.destroy();
    },
  };
}

/** Whether bytes of an answer are already on their way, so that another answer would corrupt it. */
function hasAnswerUnderWay(socket: object): boolean {
  const { _httpMessage: current } = socket as { _httpMessage?: ServerResponse };
  return current?.headersSent === true;
}
