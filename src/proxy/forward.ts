// One request forwarded and its answer relayed: undici dispatch, backpressure both ways, abort both ways, deadlines. Bytes
// pass as they come. An answer that breaks off breaks the client's, too: it must never look complete.
import type { IncomingMessage } from "node:http";
import type { Dispatcher } from "undici";
import type { Grant, OpenCall } from "../access/index.ts";
import type { Deadlines } from "../config.ts";
import type { RefusalReason } from "../errors.ts";
import type { Answer, AnswerWatcher } from "./answer.ts";
import { clientBase, withClientUrls } from "./answer-urls.ts";
import type { DeadlineClock, Waiting } from "./deadlines.ts";
import type { Exchange, Exchanges, Outcome } from "./exchange.ts";
import { breakOff, discardRest } from "./endings.ts";
import { fieldValue, responseSection, withoutField } from "./headers.ts";
import type { BodyReader } from "./model-judge.ts";
import { reflectsCredential } from "./request-ids.ts";
import { GATHERED_BYTES, gatherBody, StreamedBody, type BodyCheck } from "./request-body.ts";
import { codeOf, hasBody, rawHead, reasonOf, statusPhrase } from "./upstream-answer.ts";
import type { Connection, UpstreamHandler, Upstreams } from "./upstream.ts";

export interface ForwardContext {
  readonly upstreams: Upstreams;
  readonly deadlines: Deadlines;
  readonly deadlineClock: DeadlineClock<Waiting & OpenCall>;
  readonly exchanges: Exchanges;
  /** As agents reach the data plane, without a slash at its end. */
  readonly publicUrl: string;
  /** Now, as HTTP writes it (RFC 9110, 5.6.7). */
  readonly httpDate: () => string;
}

/** Everything that is decided about a request before it goes up. */
export interface Plan {
  readonly origin: string;
  /** Path and query, raw. */
  readonly target: string;
  readonly headers: string[];
  /** Where in them the credential begins. */
  readonly injectedFrom: number;
  /** The checked Content-Length, in bytes; undefined when there is none. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  /** All of the body has to pass it before the last of it goes on. */
  readonly bodyReader: BodyReader | undefined;
}

/** Answers the client in our own name; only possible while nothing of an answer has been sent. */
export type Refuse = (reason: RefusalReason) => void;

// A reused connection that the upstream was just closing shows within a round trip. What breaks later may have been worked on.
const RETRY_WITHIN_MS = 1_000;
const RETRIABLE: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);
/** To do it twice is to do it once (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

export class Forwarding implements UpstreamHandler, Waiting, OpenCall, AnswerWatcher {
  connection: Connection | undefined;
  waitingAt = -1;
  readonly grant: Grant;
  protected readonly context: ForwardContext;
  protected readonly exchange: Exchange;
  protected readonly request: IncomingMessage;
  protected readonly response: Answer;
  protected readonly plan: Plan;
  protected readonly refuse: Refuse;
  /** The protocol that is asked for in place of HTTP. */
  protected readonly upgrade: string | undefined;
  /** Set once: from then on nothing that the upstream does matters any more. */
  protected over = false;
  #controller: Dispatcher.DispatchController | undefined;
  #outcome: Outcome | undefined;
  #body: Buffer | StreamedBody | null = null;
  #gathering = false;
  #attempts = 0;
  #answered = false;
  #closeDelimited = false;
  #listensForDrain = false;
  /** Whether a streamed body has yet to pass its check. */
  #isUnchecked = false;
  /** What has come of an answer before the body had passed its check. A paused upstream that ends its connection still has some. */
  #held: (() => void)[] = [];
  #progressMs: number;
  #pausedMs: number | undefined;

  constructor(
    context: ForwardContext,
    grant: Grant,
    exchange: Exchange,
    request: IncomingMessage,
    response: Answer,
    plan: Plan,
    refuse: Refuse,
  ) {
    this.context = context;
    this.grant = grant;
    this.exchange = exchange;
    this.request = request;
    this.response = response;
    this.plan = plan;
    this.refuse = refuse;
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
      this.context.exchanges.pauseOwnTime(this.exchange);
      gatherBody(this.request, contentLength, this.#bodyProgress, (body) => {
        this.#gathering = false;
        this.context.exchanges.resumeOwnTime(this.exchange);
        this.#body = body;
        if (this.over) return;
        const { bodyReader } = this.plan;
        const refusal = bodyReader && (bodyReader.take(body) ?? bodyReader.end());
        if (refusal === undefined) this.send();
        else this.#giveUp(refusal);
      });
    } else {
      this.#body = new StreamedBody(this.request, this.#bodyProgress, this.#check());
      this.send();
    }
  }

  protected send(): void {
    this.#attempts++;
    this.#progressMs = this.context.deadlineClock.nowMs();
    const { origin, target, headers } = this.plan;
    this.context.upstreams.dispatch(
      origin,
      {
        path: target,
        method: this.exchange.method,
        headers,
        body: this.#body,
        ...(this.upgrade === undefined ? {} : { upgrade: this.upgrade }),
      },
      this,
    );
    // With an idle connection it has been written to it by now; without one, what follows is connecting.
    this.context.exchanges.pauseOwnTime(this.exchange);
  }

  /** The beginning of the answer has been handed to the client's socket. */
  answerBegan(): void {
    this.context.exchanges.pauseOwnTime(this.exchange);
  }

  /** Ends both sides at once. False: it was over. */
  cut(reason: RefusalReason): boolean {
    if (this.over && this.#outcome !== "completed") return false;
    if (this.#answered) {
      this.exchange.cutBy = reason;
      this.#breakOff("cut");
    } else this.#giveUp(reason);
    return true;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.over) controller.abort(new Error("no longer wanted"));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: unknown,
    statusText?: string,
  ): void {
    if (this.over) return;
    const isInterim = status < 200;
    if (isInterim && this.connection?.socket?.awaitsFinal !== true) {
      this.#giveUp("upstream_protocol_error"); // nobody has counted it
      return;
    }
    if (this.#isUnchecked) {
      if (isInterim) return; // it may be all that comes before the body is there, so nothing must wait for it
      this.#hold(controller, () => this.onResponseStart(controller, status, headers, statusText));
      return;
    }
    const { response } = this;
    const section = responseSection(controller.rawHeaders as Buffer[], status);
    if (section.isCoded) {
      this.#giveUp("upstream_protocol_error");
      return;
    }
    const isOld = this.request.httpVersionMinor === 0;
    if (isInterim && isOld) return; // which knows none (RFC 9110, 15.2)
    const fields = section.hasUrls ? this.#withClientUrls(section.headers) : section.headers;
    if (isInterim) {
      if (response.relayInterim(rawHead(status, fields))) return;
      this.connection?.socket?.hold();
      this.#awaitClient();
      return;
    }
    if (this.connection !== undefined) this.connection.answers++;
    this.#progressMs = this.context.deadlineClock.nowMs();
    this.exchange.status = status;
    this.noteAnswerId(section.requestId);
    this.context.exchanges.firstByte(this.exchange);
    const { isChunked, hasLength } = section;
    const withBody = hasBody(this.exchange.method, status);
    // Its end is the connection's end, there and here: we can't vouch for more than the upstream did.
    this.#closeDelimited = withBody && !isChunked && !hasLength;
    const hasTrailers = withBody && isChunked && !isOld;
    response.watcher = this;
    response.relayHead({
      status,
      phrase: statusPhrase(statusText),
      headers: section.hasTrailer && !hasTrailers ? withoutField(fields, "trailer") : fields,
      hasLength,
      hasBody: withBody,
      isCloseDelimited: this.#closeDelimited,
      date: section.hasDate ? undefined : this.context.httpDate(),
    });
    this.#answered = true;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    if (this.#isUnchecked) {
      this.#hold(controller, () => this.onResponseData(controller, chunk));
      return;
    }
    this.#progressMs = this.context.deadlineClock.nowMs();
    this.exchange.responseBytes += chunk.length;
    if (this.response.relay(chunk)) return;
    controller.pause();
    this.#awaitClient();
  }

  /** Goes on with what has been paused when the client has taken what waits for it. */
  #awaitClient(): void {
    this.#pausedMs = this.context.deadlineClock.nowMs();
    if (this.#listensForDrain) return;
    this.#listensForDrain = true;
    this.response.on("drain", () => {
      this.#pausedMs = undefined;
      this.#progressMs = this.context.deadlineClock.nowMs();
      if (this.over) return;
      this.#controller?.resume();
      this.connection?.socket?.release();
    });
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.over) return;
    if (this.#isUnchecked) {
      this.#hold(controller, () => this.onResponseEnd(controller));
      return;
    }
    if (this.#closeDelimited && this.connection?.socket?.isBroken === true) {
      this.#breakOff("upstream_broke");
      return;
    }
    this.over = true;
    this.#outcome = "completed";
    this.#progressMs = this.context.deadlineClock.nowMs();
    const trailers = controller.rawTrailers as Buffer[] | undefined;
    this.response.relayEnd(trailers === undefined ? [] : responseSection(trailers).headers);
    if (!this.request.complete) discardRest(this.request);
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.over) return;
    const code = codeOf(error);
    if (!this.#answered && this.#mayRetry(code)) {
      this.#controller = undefined;
      this.context.exchanges.resumeOwnTime(this.exchange);
      this.send();
      return;
    }
    this.exchange.errorCode = code;
    if (this.#answered) this.#breakOff("upstream_broke");
    else this.#giveUp(reasonOf(error, this.#heard));
  }

  /** Notes the upstream's own id of the request, unless it is, or holds, the key that we sent. */
  protected noteAnswerId(id: string | undefined): void {
    const { headers, injectedFrom } = this.plan;
    if (id !== undefined && !reflectsCredential(id, headers, injectedFrom)) {
      this.exchange.upstreamRequestId = id;
    }
  }

  #withClientUrls(headers: readonly string[]): string[] {
    const { provider = "", path = "" } = this.exchange;
    const { origin, target, headers: sent, injectedFrom } = this.plan;
    return withClientUrls(headers, {
      origin,
      target,
      base: clientBase(this.context.publicUrl, provider, this.request.url ?? "", path),
      isTelling: (url) => reflectsCredential(url, sent, injectedFrom),
    });
  }

  overdue(nowMs: number): void {
    const waitedMs = nowMs - this.#progressMs;
    const { clientIdleMs, clientStallMs, firstByteMs, upstreamIdleMs } = this.context.deadlines;
    if (this.over) {
      // All of the answer has come, and the client has yet to take the last of it.
      if (this.#outcome === "completed" && waitedMs > clientStallMs) {
        this.#breakOff("client_stalled");
      }
    } else if (this.#pausedMs !== undefined) {
      if (nowMs - this.#pausedMs > clientStallMs) this.#breakOff("client_stalled");
    } else if (!this.#answered) {
      if (this.#awaitsBody()) {
        if (waitedMs > clientIdleMs) this.#giveUp("request_timeout");
      } else if (waitedMs > firstByteMs) this.#giveUp("upstream_first_byte_timeout");
    } else if (waitedMs > upstreamIdleMs) {
      this.#breakOff("upstream_silent");
    }
  }

  readonly #bodyProgress = (bytes: number): void => {
    this.exchange.requestBytes += bytes;
    this.#progressMs = this.context.deadlineClock.nowMs();
  };

  #check(): BodyCheck | undefined {
    const { bodyReader: reader, contentLength } = this.plan;
    if (reader === undefined) return undefined;
    this.#isUnchecked = true;
    return {
      reader,
      length: contentLength,
      onRefused: (reason) => {
        if (!this.over) this.#giveUp(reason);
      },
      onPassed: () => this.#release(),
    };
  }

  /** Keeps what an upstream answers until the body has passed its check, and reads on meanwhile, whether it is taken or not. */
  #hold(controller: Dispatcher.DispatchController, event: () => void): void {
    controller.pause();
    this.#held.push(event);
    if (this.#body instanceof StreamedBody) this.#body.readOn();
  }

  #release(): void {
    this.#isUnchecked = false;
    const held = this.#held;
    if (this.over || held.length === 0) return;
    this.#held = [];
    for (const event of held) event();
    this.#controller?.resume();
  }

  /** Whether any byte of an answer has come, an interim one's included. */
  get #heard(): boolean {
    return this.connection?.socket?.heard === true;
  }

  #awaitsBody(): boolean {
    const body = this.#body;
    return this.#gathering || (body instanceof StreamedBody && body.waitingForClient);
  }

  #mayRetry(code: string | undefined): boolean {
    return (
      this.#attempts === 1 &&
      (IDEMPOTENT.has(this.exchange.method) ||
        (fieldValue(this.plan.headers, "idempotency-key") ?? "") !== "") &&
      !this.#heard &&
      !(this.#body instanceof StreamedBody) &&
      (this.connection?.answers ?? 0) > 0 &&
      code !== undefined &&
      RETRIABLE.has(code) &&
      this.context.deadlineClock.nowMs() - this.#progressMs <= RETRY_WITHIN_MS
    );
  }

  #abortUpstream(): void {
    this.over = true;
    this.#controller?.abort(new Error("no longer wanted"));
  }

  /** Ends it while nothing of an answer has been sent. */
  #giveUp(reason: RefusalReason): void {
    this.#abortUpstream();
    this.refuse(reason);
  }

  #breakOff(outcome: Outcome): void {
    this.#abortUpstream();
    this.#outcome = outcome;
    const flush = outcome === "upstream_broke" || outcome === "upstream_silent";
    if (flush) this.response.flush();
    breakOff(this.response, {
      flush,
      byReset: this.#closeDelimited || this.request.httpVersionMinor === 0,
    });
  }

  #clientClosed(): void {
    if (!this.over) this.#abortUpstream();
    this.context.deadlineClock.delete(this);
    const outcome =
      this.#outcome === "completed" && !this.response.delivered
        ? "client_left"
        : (this.#outcome ?? "client_left");
    this.context.exchanges.end(this.exchange, outcome);
  }
}
