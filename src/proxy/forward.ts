// One request forwarded and its answer relayed: undici dispatch, backpressure both ways, abort both ways, deadlines. Bytes
// pass as they come. An answer that breaks off breaks the client's, too: it must never look complete.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Dispatcher } from "undici";
import type { Deadlines } from "../config.ts";
import type { RefusalReason } from "../errors.ts";
import type { DeadlineClock, Waiting } from "./deadlines.ts";
import type { Exchange, Exchanges, Outcome } from "./exchange.ts";
import { hasHeader, responseHeaders, textPairs } from "./headers.ts";
import { GATHERED_BYTES, gatherBody, StreamedBody } from "./request-body.ts";
import type { Connection, UpstreamHandler, Upstreams } from "./upstream.ts";

export interface ForwardContext {
  readonly upstreams: Upstreams;
  readonly deadlines: Deadlines;
  readonly deadlineClock: DeadlineClock;
  readonly exchanges: Exchanges;
}

/** Everything that is decided about a request before it goes up. */
export interface Plan {
  readonly origin: string;
  /** Path and query, raw. */
  readonly target: string;
  readonly headers: string[];
  /** The checked Content-Length, in bytes; undefined when there is none. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
}

/** Answers the client in our own name; only possible while nothing of an answer has been sent. */
export type Refuse = (reason: RefusalReason) => void;

// How long the rest of a body that nobody wants may still come in, before the client's connection is closed.
const UNREAD_BODY_MS = 30_000;
const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;
const RETRIABLE: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

export class Forwarding implements UpstreamHandler, Waiting {
  connection: Connection | undefined;
  protected readonly context: ForwardContext;
  protected readonly exchange: Exchange;
  protected readonly request: IncomingMessage;
  protected readonly response: ServerResponse;
  protected readonly plan: Plan;
  protected readonly refuse: Refuse;
  protected controller: Dispatcher.DispatchController | undefined;
  /** Set once: from then on nothing that the upstream does matters any more. */
  protected over = false;
  #outcome: Outcome | undefined;
  #body: Buffer | StreamedBody | null = null;
  #gathering = false;
  #attempts = 0;
  #answered = false;
  #informed = false;
  #closeDelimited = false;
  #headersSent = false;
  #listensForDrain = false;
  #progressMs: number;
  #pausedMs: number | undefined;

  constructor(
    context: ForwardContext,
    exchange: Exchange,
    request: IncomingMessage,
    response: ServerResponse,
    plan: Plan,
    refuse: Refuse,
  ) {
    this.context = context;
    this.exchange = exchange;
    this.request = request;
    this.response = response;
    this.plan = plan;
    this.refuse = refuse;
    this.#progressMs = context.deadlineClock.nowMs();
    response.on("close", () => this.#clientClosed());
    context.deadlineClock.add(this);
    this.#progressMs = context.deadlineClock.nowMs();
  }

  /** Takes the body and sends the request. */
  start(): void {
    const { contentLength, chunked } = this.plan;
    if (!chunked && (contentLength === undefined || contentLength === 0)) {
      this.send();
    } else if (!chunked && contentLength !== undefined && contentLength <= GATHERED_BYTES) {
      this.#gathering = true;
      gatherBody(this.request, this.#bodyProgress, (body) => {
        this.#gathering = false;
        this.#body = body;
        if (!this.over) this.send();
      });
    } else {
      this.#body = new StreamedBody(this.request, this.#bodyProgress);
      this.send();
    }
  }

  protected send(upgrade?: "websocket"): void {
    this.#attempts++;
    this.#progressMs = this.context.deadlineClock.nowMs();
    const { origin, target, headers } = this.plan;
    this.context.upstreams.dispatch(
      {
        origin,
        path: target,
        method: this.exchange.method,
        headers,
        body: this.#body,
        ...(upgrade === undefined ? {} : { upgrade }),
      },
      this,
    );
  }

  /** Ends both sides at once, because of something on our side. */
  cut(): void {
    if (this.over) return;
    if (this.#answered || this.response.headersSent) this.#breakOff("cut");
    else {
      this.settle();
      this.refuse("unknown_token");
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.over) controller.abort(new Error("no longer wanted"));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText?: string,
  ): void {
    if (this.over) return;
    const raw = textPairs(controller.rawHeaders as Buffer[]);
    if (status < 200) {
      this.#informed = true;
      if (this.request.httpVersionMinor > 0 && status !== 101) {
        this.response.writeInformation(status, responseHeaders(raw));
      }
      return;
    }
    this.#answered = true;
    if (this.connection !== undefined) this.connection.answers++;
    this.#progressMs = this.context.deadlineClock.nowMs();
    this.exchange.status = status;
    this.context.exchanges.firstByte(this.exchange);
    const headers = responseHeaders(raw);
    if (!isFramed(raw, this.exchange.method, status)) {
      // Its end is the connection's end, there and here: we can't vouch for more than the upstream did.
      this.#closeDelimited = true;
      this.response.useChunkedEncodingByDefault = false;
      this.response.shouldKeepAlive = false;
    }
    const phrase = statusText !== undefined && REASON_PHRASE.test(statusText) ? statusText : "";
    this.response.writeHead(status, phrase, headers);
    // With the first chunk when that is here already, else without waiting for one.
    process.nextTick(flushHeaders, this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    this.#progressMs = this.context.deadlineClock.nowMs();
    this.#headersSent = true;
    this.exchange.responseBytes += chunk.length;
    if (this.response.write(chunk)) return;
    controller.pause();
    this.#pausedMs = this.#progressMs;
    if (!this.#listensForDrain) {
      this.#listensForDrain = true;
      this.response.on("drain", () => {
        this.#pausedMs = undefined;
        this.#progressMs = this.context.deadlineClock.nowMs();
        this.controller?.resume();
      });
    }
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.over) return;
    if (this.#closeDelimited && this.connection?.socket?.errored != null) {
      this.#breakOff("upstream_broke");
      return;
    }
    this.settle();
    this.#outcome = "completed";
    const trailers = controller.rawTrailers as Buffer[] | undefined;
    if (trailers !== undefined && trailers.length > 0) {
      this.response.addTrailers(pairs(responseHeaders(textPairs(trailers))));
    }
    this.response.end();
    if (!this.request.complete) discardRest(this.request);
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.over) return;
    if (this.#answered) {
      this.#breakOff("upstream_broke");
    } else if (this.#mayRetry(error)) {
      this.controller = undefined;
      this.send();
    } else {
      this.settle();
      this.refuse(reasonOf(error));
    }
  }

  overdue(nowMs: number): void {
    if (this.over) return;
    const waitedMs = nowMs - this.#progressMs;
    const { clientIdleMs, clientStallMs, firstByteMs, upstreamIdleMs } = this.context.deadlines;
    const body = this.#body;
    const awaitsBody =
      this.#gathering || (body instanceof StreamedBody && !body.ended && body.waitingForClient);
    if (!this.#answered) {
      if (awaitsBody ? waitedMs > clientIdleMs : waitedMs > firstByteMs) {
        this.#abortUpstream();
        this.refuse(awaitsBody ? "request_timeout" : "upstream_first_byte_timeout");
      }
    } else if (this.#pausedMs !== undefined) {
      if (nowMs - this.#pausedMs > clientStallMs) this.#breakOff("client_stalled");
    } else if (waitedMs > upstreamIdleMs) {
      this.#breakOff("upstream_silent");
    }
  }

  /** Nothing further is awaited of the upstream. */
  protected settle(): void {
    this.over = true;
    this.context.deadlineClock.delete(this);
  }

  flushHeaders(): void {
    if (this.#headersSent || this.response.destroyed) return;
    this.#headersSent = true;
    this.response.flushHeaders();
  }

  readonly #bodyProgress = (bytes: number): void => {
    this.exchange.requestBytes += bytes;
    this.#progressMs = this.context.deadlineClock.nowMs();
  };

  #mayRetry(error: Error): boolean {
    const { code } = error as { code?: unknown };
    return (
      this.#attempts === 1 &&
      !this.#informed &&
      !(this.#body instanceof StreamedBody) &&
      (this.connection?.answers ?? 0) > 0 &&
      typeof code === "string" &&
      RETRIABLE.has(code)
    );
  }

  #abortUpstream(): void {
    this.settle();
    this.controller?.abort(new Error("no longer wanted"));
  }

  #breakOff(outcome: Outcome): void {
    this.#abortUpstream();
    this.#outcome = outcome;
    const flush = outcome === "upstream_broke" || outcome === "upstream_silent";
    if (flush) this.flushHeaders();
    breakOff(this.response, {
      flush,
      byReset: this.#closeDelimited || this.request.httpVersionMinor === 0,
    });
  }

  #clientClosed(): void {
    if (!this.over) this.#abortUpstream();
    this.#ended();
  }

  #ended(): void {
    const whole = this.response.writableFinished;
    const outcome =
      this.#outcome === "completed" && !whole ? "client_left" : (this.#outcome ?? "client_left");
    this.context.exchanges.end(this.exchange, outcome);
  }
}

function flushHeaders(forwarding: Forwarding): void {
  forwarding.flushHeaders();
}

/** Whether the answer says itself where it ends (RFC 9112, 6.3). */
function isFramed(raw: readonly string[], method: string, status: number): boolean {
  if (method === "HEAD" || status === 204 || status === 304) return true;
  return hasHeader(raw, "content-length") || hasHeader(raw, "transfer-encoding");
}

/**
 * Ends a client's answer so that it can't be taken for a whole one. With `flush`, what has come is still sent; its end never is.
 * Where only the connection's end tells the end of the body, that has to be a reset.
 */
function breakOff(response: ServerResponse, o: { flush: boolean; byReset: boolean }): void {
  const { socket } = response;
  if (socket === null) {
    response.destroy();
    return;
  }
  const end = (): void => {
    // A TLS connection that ends without close_notify is as visibly broken as a reset one (RFC 8446, 6.1).
    if (!o.byReset || "encrypted" in socket) socket.destroy();
    else socket.resetAndDestroy();
  };
  if (!o.flush || socket.writableLength === 0) {
    if (o.byReset || !o.flush) end();
    else socket.destroySoon();
    return;
  }
  socket.setTimeout(UNREAD_BODY_MS, () => socket.destroy());
  if (o.byReset) socket.once("drain", end);
  else socket.destroySoon();
}

/** Reads what is left of a body that nobody wants, so that the client gets to see its answer; not for ever. */
export function discardRest(request: IncomingMessage): void {
  request.removeAllListeners("data");
  request.resume();
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, UNREAD_BODY_MS);
  timer.unref();
  request.once("close", () => clearTimeout(timer));
}

function reasonOf(error: Error): RefusalReason {
  switch ((error as { code?: unknown }).code) {
    case "X3SPROXY_ADDRESS_REFUSED":
      return "upstream_address_refused";
    case "UND_ERR_CONNECT_TIMEOUT":
      return "upstream_connect_timeout";
    case "UND_ERR_HEADERS_OVERFLOW":
    case "UND_ERR_RES_CONTENT_LENGTH_MISMATCH":
    case "UND_ERR_INVALID_ARG":
      return "upstream_protocol_error";
    default:
      return error.name === "HTTPParserError" ? "upstream_protocol_error" : "upstream_unreachable";
  }
}

function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i] ?? "", flat[i + 1] ?? ""]);
  return list;
}
