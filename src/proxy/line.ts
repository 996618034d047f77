// Down the line: one request is decided upon, then answered by ourselves, refused, or handed to whoever forwards it. HTTP and
// WebSocket share it. Nothing is forwarded that did not come down this line.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Grant, Limiter } from "../access/index.ts";
import type { RefusalReason } from "../errors.ts";
import { errorFields, type Log } from "../log.ts";
import type { Answer } from "./answer.ts";
import { Call, type CallContext, type Verdict } from "./call.ts";
import type { Connections } from "./connections.ts";
import type { Cors } from "./cors.ts";
import { discardRest, endByLinger, linger } from "./endings.ts";
import type { Exchanges } from "./exchange.ts";
import type { Ending } from "./forward.ts";
import { fieldValue } from "./headers.ts";
import { answerOwn } from "./own-endpoints.ts";
import { rawRefusal, sendRefusal, type RefusalContext } from "./refusal.ts";
import type { Registering } from "./registration.ts";
import { noteRequestIds } from "./request-ids.ts";

/** The one step in which HTTP and WebSocket differ. */
export type Forward = (call: Call) => void;

export interface LineContext {
  readonly calls: CallContext;
  readonly exchanges: Exchanges;
  readonly limiter: Limiter;
  readonly registering: Registering;
  readonly connections: Connections;
  readonly cors: Cors;
  readonly log: Log;
}

export class Line implements Ending {
  readonly #o: LineContext;

  constructor(o: LineContext) {
    this.#o = o;
  }

  /** Takes a request whose answer has its turn; ends in one of: a refusal, an answer of ours, a call of `forward`. Never throws. */
  handle(request: IncomingMessage, response: Answer, isWebSocket: boolean, forward: Forward): void {
    const { calls, exchanges } = this.#o;
    const exchange = exchanges.begin(request.method ?? "");
    exchange.websocket = isWebSocket;
    const call = new Call(calls, exchange, request);
    if (this.#o.cors.isPreflight(request)) {
      this.#answerPreflight(call, response);
      return;
    }
    this.#allowPage(request, response);
    try {
      const verdict = call.decide();
      if (verdict instanceof Promise) {
        verdict
          .then((it) => this.#carryOut(call, response, it, forward))
          .catch((error: unknown) => this.fail(call, response, error));
      } else this.#carryOut(call, response, verdict, forward);
    } catch (error) {
      this.fail(call, response, error);
    }
  }

  /** Answers with `reason`, in the provider's own shape of an error; of what has begun already, it can but break the answer off. */
  refuse(call: Call, response: Answer, reason: RefusalReason): void {
    const { exchanges, connections } = this.#o;
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
        if (connections.draining) endByLinger(request.socket);
      }
    }
    exchanges.end(exchange, "refused", reason);
  }

  /** For an expectation that isn't met (RFC 9110, 10.1.1). */
  refuseExpectation(request: IncomingMessage, response: Answer): void {
    const { calls, exchanges } = this.#o;
    const call = new Call(calls, exchanges.begin(request.method ?? ""), request);
    this.refuse(call, response, "expectation_failed");
  }

  /** For bytes that are no request, and for requests that Node hands over without a response object. */
  refuseRaw(socket: Socket, method: string, reason: RefusalReason): void {
    const { calls, exchanges } = this.#o;
    const exchange = exchanges.begin(method);
    const context: RefusalContext = {
      exchangeId: exchange.id,
      errorShape: "openai",
      provider: undefined,
      agent: undefined,
      environment: undefined,
      sensitiveEndpoint: undefined,
      namedProvider: undefined,
      dashboardUrl: calls.dashboardUrl,
      retryAfterS: undefined,
    };
    const { status, text } = rawRefusal(reason, context);
    exchange.status = status;
    socket.write(text);
    linger(socket);
    exchanges.end(exchange, "refused", reason);
  }

  #carryOut(call: Call, response: Answer, verdict: Verdict, forward: Forward): void {
    if (response.destroyed) {
      this.#o.exchanges.end(call.exchange, "client_left");
      return;
    }
    switch (verdict.kind) {
      case "refuse":
        this.refuse(call, response, verdict.reason);
        break;
      case "probe":
        this.#answerProbe(call, response);
        break;
      case "register":
        this.#register(call, response);
        break;
      case "own":
        this.#answerOwn(call, response, verdict);
        break;
      case "forward":
        if (verdict.grant.limited) this.#enter(call, verdict.grant, response, forward);
        else this.#goOn(call, forward);
    }
  }

  /** Forwards once the limits of the agent and its workspace let the call in. */
  #enter(call: Call, grant: Grant, response: Answer, forward: Forward): void {
    const { exchanges, limiter } = this.#o;
    const { exchange } = call;
    const proceed = (entered: Awaited<ReturnType<Limiter["enter"]>>): void => {
      if ("reason" in entered) {
        call.retryAfterS = entered.retryAfterS;
        this.refuse(call, response, entered.reason);
        return;
      }
      exchange.admission = entered;
      if (response.destroyed) {
        exchanges.end(exchange, "client_left");
        return;
      }
      this.#goOn(call, forward);
    };
    const entered = limiter.enter(grant, exchange);
    if (entered instanceof Promise) {
      entered.then(proceed).catch((error: unknown) => this.fail(call, response, error));
    } else {
      proceed(entered);
    }
  }

  #goOn(call: Call, forward: Forward): void {
    this.#o.exchanges.countOpen(call.exchange);
    forward(call);
  }

  #answerPreflight(call: Call, response: Answer): void {
    const { exchange, request } = call;
    this.#allowPage(request, response);
    if (!this.#o.cors.answerPreflight(request, response)) {
      this.refuse(call, response, "page_not_allowed");
      return;
    }
    exchange.status = 204;
    noteRequestIds(exchange, request.rawHeaders);
    if (!request.complete) discardRest(request);
    this.#o.exchanges.end(exchange, "completed");
  }

  /** Has whatever is answered be readable for a page of a listed origin. */
  #allowPage(request: IncomingMessage, response: Answer): void {
    const fields = this.#o.cors.fields(request);
    if (fields.length === 0) return;
    response.added = fields;
    for (let i = 0; i + 1 < fields.length; i += 2) {
      response.setHeader(fields[i] ?? "", fields[i + 1] ?? "");
    }
  }

  #answerProbe({ exchange, request }: Call, response: Answer): void {
    exchange.status = 200;
    noteRequestIds(exchange, request.rawHeaders);
    response.writeHead(200, ["cache-control", "no-store"]);
    response.end();
    this.#o.exchanges.end(exchange, "completed");
  }

  #register(call: Call, response: Answer): void {
    const { exchanges, registering } = this.#o;
    const { exchange, request } = call;
    noteRequestIds(exchange, request.rawHeaders);
    registering
      .answer(call, response)
      .then((reason) => {
        if (response.destroyed) exchanges.end(exchange, "client_left");
        else if (reason === undefined) exchanges.end(exchange, "completed");
        else this.refuse(call, response, reason);
      })
      .catch((error: unknown) => this.fail(call, response, error));
  }

  #answerOwn(call: Call, response: Answer, own: Extract<Verdict, { kind: "own" }>): void {
    const { exchange } = call;
    if (!answerOwn(response, exchange.method, own.path, own.grant)) {
      this.refuse(call, response, "not_found");
      return;
    }
    exchange.status = 200;
    this.#o.exchanges.end(exchange, "completed");
  }

  /** The same for what is nobody's refusal, which the log tells of. */
  fail(call: Call, response: Answer, error: unknown): void {
    this.#o.log.error("request failed", { exchangeId: call.exchange.id, ...errorFields(error) });
    this.refuse(call, response, "internal_error");
  }
}
