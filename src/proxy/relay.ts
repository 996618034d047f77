// One request on its way up and its answer on its way down: undici's dispatch, backpressure both ways, abort both ways, deadlines.
// Bytes pass as they come. When an answer breaks off, the client's breaks off, too: it must never look complete. It decides nothing about
// access: it only checks that the call is still current.
import type { Dispatcher } from "undici";
import type { Grant, OpenCall } from "../grants/index.ts";
import type { Deadlines } from "../platform/config.ts";
import type { RefusalReason } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";
import type { AnswerWatcher } from "./answer.ts";
import { clientBase, withClientUrls } from "./answer-urls.ts";
import type { UpstreamRequest } from "./authorisation.ts";
import type { Call } from "./call.ts";
import type { DeadlineClock, Waiting } from "./deadlines.ts";
import { breakOff, discardRest } from "./endings.ts";
import type { Outcome } from "./exchange.ts";
import type { Exchanges } from "./exchanges.ts";
import { fieldValue, responseSection, withoutField } from "./headers.ts";
import { refusalFor, type Refusal } from "./refusal.ts";
import { gatherBody, StreamedBody, type BodyCheck, type Gathered } from "./request-body.ts";
import { LONGEST_ID, reflectsCredential } from "./request-ids.ts";
import { hasBody, rawHead, reasonOf, statusPhrase } from "./upstream-answer.ts";
import type { Connection, UpstreamHandler, Upstreams } from "./upstream.ts";

export interface RelayContext {
  readonly upstreams: Upstreams;
  readonly deadlines: Deadlines;
  readonly deadlineClock: DeadlineClock<Waiting & OpenCall>;
  readonly exchanges: Exchanges;
  readonly gathered: Gathered;
  /** As agents reach the data plane, without a slash at its end. */
  readonly publicUrl: string;
  /** Now, as HTTP writes it (RFC 9110, 5.6.7). */
  readonly httpDate: () => string;
}

/** The client left before an answer began; there is nobody to answer. */
export class ClientLeft extends Error {
  override name = "ClientLeft";
}

/** A change has overtaken the call while it waited for a connection. */
class OvertakenError extends Error {
  override name = "OvertakenError";
}

/** An answer that is held back, as far as it has come. */
interface HeldAnswer {
  readonly status: number;
  readonly phrase: string | undefined;
  readonly chunks: Buffer[];
  hasEnded: boolean;
}

// If the upstream was just closing a reused connection, that shows within a round trip. A later failure may come after work was done.
const RETRY_WITHIN_MS = 1_000;
const RETRIABLE: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);
/** Repeating such a request has the same effect as making it once (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

export class Relay implements UpstreamHandler, Waiting, OpenCall, AnswerWatcher {
  connection: Connection | undefined;
  waitingAt = -1;
  protected readonly context: RelayContext;
  protected readonly call: Call;
  /** The request that was sent last, until its answer begins. It holds the key. */
  protected sent: UpstreamRequest | undefined;
  /** The protocol to upgrade to. */
  protected readonly upgrade: string | undefined;
  /** True once nothing more is expected of the upstream: its later events are ignored. */
  protected over = false;
  #controller: Dispatcher.DispatchController | undefined;
  #outcome: Outcome | undefined;
  /** Why it ended without an answer. */
  #failure: Refusal | ClientLeft | undefined;
  /** Settle the present wait. */
  #resolve: ((ended: Outcome | "again") => void) | undefined;
  #reject: ((failure: unknown) => void) | undefined;
  #body: Buffer | StreamedBody | null = null;
  #isStreamed = false;
  #isGathering = false;
  /** The room that its body takes among all gathered bodies, in bytes. */
  #gatheredBytes = 0;
  #hasRetried = false;
  /** True while it is handed to a connection, in the turn in which it was decided. */
  #isSending = false;
  #isAnswered = false;
  #isCloseDelimited = false;
  #listensForDrain = false;
  /** Whether a streamed body has not yet passed its check. Until then an answer is held back. */
  #isUnchecked = false;
  #held: HeldAnswer | undefined;
  #progressMs: number;
  #pausedMs: number | undefined;

  constructor(context: RelayContext, call: Call) {
    this.context = context;
    this.call = call;
    call.response.on("close", () => this.#clientClosed());
    context.deadlineClock.add(this);
    this.#progressMs = context.deadlineClock.nowMs();
  }

  /** The grant by which the call was last decided. */
  get grant(): Grant {
    const { grant } = this.call;
    if (grant === undefined) throw new Error("a call that is relayed without a grant");
    return grant;
  }

  /** Resolves to the client's body if it is small enough to be gathered; undefined: there is none, or it streams. Rejects as `unlessFailed`. */
  takeBody(): Promise<Buffer | undefined> {
    const { request, exchange, contentLength, isChunked } = this.call;
    if (!isChunked && (contentLength === undefined || contentLength === 0)) return NO_BODY;
    if (isChunked || contentLength === undefined || !this.#mayGather(contentLength)) {
      this.#isStreamed = true;
      return NO_BODY;
    }
    const { exchanges } = this.context;
    this.#isGathering = true;
    exchanges.pauseOwnTime(exchange);
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      gatherBody(request, contentLength, this.#bodyProgress, (body) => {
        this.#isGathering = false;
        exchanges.resumeOwnTime(exchange);
        this.#body = body;
        resolve(body);
      });
    });
  }

  /** Waits for `other`. Rejects with Refusal or ClientLeft as soon as the call is cut, overdue, or left by its client. */
  unlessFailed<T>(other: Promise<T>): Promise<T> {
    this.#progressMs = this.context.deadlineClock.nowMs();
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      other.then(resolve, reject);
      if (this.#failure !== undefined) reject(this.#failure);
    });
  }

  /**
   * Sends the request, and relays its answer. Resolves to how it ended once the client has taken all of it. Resolves to `again` if it
   * must be decided and sent anew: a change overtook it before it was sent, or a reused connection broke and it may be repeated. Rejects
   * with Refusal or ClientLeft while nothing of an answer was relayed.
   */
  send(request: UpstreamRequest): Promise<Outcome | "again"> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      this.#resolve = resolve;
      this.#reject = reject;
      this.#dispatch(request);
    });
  }

  /** Frees its resources. Call it once, when nothing waits for it any more. */
  close(): void {
    if (!this.over) this.#abortUpstream();
    this.context.deadlineClock.delete(this);
    this.context.gathered.give(this.grant.agentId, this.#gatheredBytes);
  }

  /** The beginning of the answer has been handed to the client's socket. */
  answerBegan(): void {
    this.context.exchanges.pauseOwnTime(this.call.exchange);
  }

  /** Ends both sides at once. Returns false if the call had ended otherwise than completed. */
  cut(reason: RefusalReason): boolean {
    if (this.over && this.#outcome !== "completed") return false;
    if (this.#isAnswered) {
      this.call.exchange.cutBy = reason;
      this.#breakOff("cut");
    } else this.#giveUp(refusalFor(reason));
    return true;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.over) controller.abort(new Error("no longer wanted"));
    else if (!this.#isSending && !this.call.isCurrent()) controller.abort(new OvertakenError());
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    phrase?: string,
  ): void {
    if (this.over) return;
    if (status < 200) {
      this.#relayInterim(controller, status);
      return;
    }
    if (this.#isUnchecked) {
      this.#held = { status, phrase, chunks: [], hasEnded: false };
      this.#holdBack(controller);
      return;
    }
    const { exchange, request, response } = this.call;
    const section = responseSection(controller.rawHeaders as Buffer[], status);
    if (section.isCoded) {
      this.#giveUp(refusalFor("upstream_protocol_error"));
      return;
    }
    if (this.connection !== undefined) this.connection.answers++;
    this.#progressMs = this.context.deadlineClock.nowMs();
    exchange.status = status;
    this.noteAnswerId(section.requestId);
    this.context.exchanges.firstByte(exchange);
    const { isChunked, hasLength } = section;
    const fields = section.hasUrls ? this.#withClientUrls(section.headers) : section.headers;
    const withBody = hasBody(exchange.method, status);
    // Its end is the connection's end, there and here: we can't vouch for more than the upstream did.
    this.#isCloseDelimited = withBody && !isChunked && !hasLength;
    const hasTrailers = withBody && isChunked && request.httpVersionMinor > 0;
    response.watcher = this;
    response.relayHead({
      status,
      phrase: statusPhrase(phrase),
      headers: section.hasTrailer && !hasTrailers ? withoutField(fields, "trailer") : fields,
      hasLength,
      hasBody: withBody,
      isCloseDelimited: this.#isCloseDelimited,
      date: section.hasDate ? undefined : this.context.httpDate(),
    });
    this.#isAnswered = true;
    // It won't be sent again. An answer can take long, and this holds the key.
    this.sent = undefined;
    if (this.#body instanceof Buffer) this.#body = null;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    if (this.#held !== undefined) {
      this.#held.chunks.push(chunk);
      this.#holdBack(controller);
      return;
    }
    this.#progressMs = this.context.deadlineClock.nowMs();
    const { exchange, response } = this.call;
    exchange.responseBytes += chunk.length;
    if (response.relay(chunk)) return;
    controller.pause();
    this.#awaitClient();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.over) return;
    if (this.#held !== undefined) {
      this.#held.hasEnded = true;
      this.#holdBack(controller);
      return;
    }
    if (this.#isCloseDelimited && this.connection?.socket?.isBroken === true) {
      this.#breakOff("upstream_broke");
      return;
    }
    this.over = true;
    this.#outcome = "completed";
    this.#progressMs = this.context.deadlineClock.nowMs();
    const { request, response } = this.call;
    const trailers = controller.rawTrailers as Buffer[] | null | undefined;
    response.relayEnd(trailers ? responseSection(trailers).headers : []);
    if (!request.complete) discardRest(request);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (this.over) return;
    if (this.#held !== undefined && this.#isWhole(this.#held, controller)) {
      // undici did not come to see its end: it was paused there when the connection went.
      this.onResponseEnd(controller);
      return;
    }
    if (error instanceof OvertakenError) {
      this.#askToSendAgain(); // it has waited for a connection, and nothing of it has been written
      return;
    }
    const { exchange } = this.call;
    const code = codeOf(error);
    if (this.#mayRetry(code)) {
      this.#hasRetried = true;
      this.#askToSendAgain();
      return;
    }
    exchange.errorCode = code;
    if (this.#isAnswered) this.#breakOff("upstream_broke");
    else this.#giveUp(refusalFor(reasonOf(error, this.#heard)));
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
    } else if (!this.#isAnswered) {
      if (this.#awaitsBody()) {
        if (waitedMs > clientIdleMs) this.#giveUp(refusalFor("request_timeout"));
      } else if (waitedMs > firstByteMs) this.#giveUp(refusalFor("upstream_first_byte_timeout"));
    } else if (waitedMs > upstreamIdleMs) {
      this.#breakOff("upstream_silent");
    }
  }

  /** Notes the upstream's id of the request, unless it holds a part of the key that we sent. */
  protected noteAnswerId(id: string | undefined): void {
    const { sent } = this;
    if (sent === undefined || id === undefined || id.length > LONGEST_ID) return;
    if (!reflectsCredential(id, sent.headers, sent.injectedFrom)) {
      this.call.exchange.upstreamRequestId = id;
    }
  }

  /** Lets go of all that holds the key: the request, and undici's control of it. */
  protected forget(): void {
    this.sent = undefined;
    this.#controller = undefined;
  }

  /** Settles `send` with how the call ended. */
  protected end(outcome: Outcome): void {
    this.#resolve?.(outcome);
  }

  #dispatch(request: UpstreamRequest): void {
    const { exchange, contentLength } = this.call;
    this.sent = request;
    if (this.#isStreamed) {
      const check = request.bodyReader && this.#checkWith(request.bodyReader, contentLength);
      this.#body = new StreamedBody(this.call.request, this.#bodyProgress, check);
    }
    this.#progressMs = this.context.deadlineClock.nowMs();
    this.#isSending = true;
    this.context.upstreams.dispatch(
      request.origin,
      {
        path: request.target,
        method: exchange.method,
        headers: request.headers,
        body: this.#body,
        ...(this.upgrade === undefined ? {} : { upgrade: this.upgrade }),
      },
      this,
    );
    this.#isSending = false;
    // With an idle connection it has been written to it by now; without one, what follows is connecting.
    this.context.exchanges.pauseOwnTime(exchange);
  }

  #askToSendAgain(): void {
    if (this.#body instanceof StreamedBody) this.#body.leave();
    this.#controller = undefined;
    this.#isUnchecked = false; // it may be sent without a check the next time
    this.context.exchanges.resumeOwnTime(this.call.exchange);
    this.#resolve?.("again");
  }

  #relayInterim(controller: Dispatcher.DispatchController, status: number): void {
    const { socket } = this.connection ?? {};
    if (socket?.awaitsFinal !== true) {
      this.#giveUp(refusalFor("upstream_protocol_error")); // it came past the count of interim responses
      return;
    }
    // It may be all that comes before the body is there, so nothing must wait for it.
    if (this.#isUnchecked) return;
    const section = responseSection(controller.rawHeaders as Buffer[], status);
    if (section.isCoded) {
      this.#giveUp(refusalFor("upstream_protocol_error"));
      return;
    }
    const { request, response } = this.call;
    if (request.httpVersionMinor === 0) return; // HTTP/1.0 has no interim responses (RFC 9110, 15.2)
    const fields = section.hasUrls ? this.#withClientUrls(section.headers) : section.headers;
    if (response.relayInterim(rawHead(status, fields))) return;
    socket.hold();
    this.#awaitClient();
  }

  /** Resumes the upstream when the client has taken the bytes that wait for it. */
  #awaitClient(): void {
    this.#pausedMs = this.context.deadlineClock.nowMs();
    if (this.#listensForDrain) return;
    this.#listensForDrain = true;
    this.call.response.on("drain", () => {
      this.#pausedMs = undefined;
      this.#progressMs = this.context.deadlineClock.nowMs();
      if (this.over) return;
      this.#controller?.resume();
      this.connection?.socket?.release();
    });
  }

  #withClientUrls(headers: readonly string[]): readonly string[] {
    if (this.sent === undefined) return headers;
    const { exchange, request } = this.call;
    const { provider = "", path = "" } = exchange;
    const { origin, target, headers: sent, injectedFrom } = this.sent;
    return withClientUrls(headers, {
      origin,
      target,
      base: clientBase(this.context.publicUrl, provider, request.url ?? "", path),
      reflectsKey: (url) => reflectsCredential(url, sent, injectedFrom),
    });
  }

  readonly #bodyProgress = (bytes: number): void => {
    this.call.exchange.requestBytes += bytes;
    this.#progressMs = this.context.deadlineClock.nowMs();
  };

  #mayGather(bytes: number): boolean {
    if (!this.context.gathered.take(this.grant.agentId, bytes)) return false;
    this.#gatheredBytes = bytes;
    return true;
  }

  #checkWith(reader: BodyCheck["reader"], length: number | undefined): BodyCheck {
    this.#isUnchecked = true;
    return {
      reader,
      length,
      onRefused: (reason) => {
        if (!this.over) this.#giveUp(refusalFor(reason));
      },
      onPassed: () => this.#relayHeld(),
    };
  }

  /** Pauses the answer until the body has passed its check. Meanwhile the body is read on, even if the upstream takes no more of it. */
  #holdBack(controller: Dispatcher.DispatchController): void {
    // After the pause, some events may still come if the upstream ends its connection.
    controller.pause();
    if (this.#body instanceof StreamedBody) this.#body.readOn();
  }

  /** Whether all has come that its Content-Length says. */
  #isWhole({ status, chunks }: HeldAnswer, { rawHeaders }: Dispatcher.DispatchController): boolean {
    if (!hasBody(this.call.exchange.method, status)) return true;
    const { headers } = responseSection(rawHeaders as Buffer[], status);
    const length = fieldValue(headers, "content-length");
    return length !== undefined && chunks.reduce((sum, it) => sum + it.length, 0) >= Number(length);
  }

  /** The body has passed its check: relays the held answer. */
  #relayHeld(): void {
    this.#isUnchecked = false;
    const held = this.#held;
    const controller = this.#controller;
    if (this.over || held === undefined || controller === undefined) return;
    this.#held = undefined;
    try {
      this.onResponseStart(controller, held.status, undefined, held.phrase);
      for (const chunk of held.chunks) this.onResponseData(controller, chunk);
      if (held.hasEnded) this.onResponseEnd(controller);
    } catch (error) {
      // undici catches what its own calls of these throw.
      this.#abortUpstream();
      this.#reject?.(error);
    }
    if (!held.hasEnded) controller.resume();
  }

  /** Whether any byte of an answer has come, including interim responses. */
  get #heard(): boolean {
    return this.connection?.socket?.heard === true;
  }

  #awaitsBody(): boolean {
    const body = this.#body;
    return this.#isGathering || (body instanceof StreamedBody && body.waitingForClient);
  }

  #mayRetry(code: string | undefined): boolean {
    return (
      !this.#isAnswered &&
      !this.#hasRetried &&
      (IDEMPOTENT.has(this.call.exchange.method) ||
        (fieldValue(this.sent?.headers ?? [], "idempotency-key") ?? "") !== "") &&
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

  /** Ends the call before its answer has begun. */
  #giveUp(failure: Refusal | ClientLeft): void {
    this.#abortUpstream();
    this.#failure = failure;
    this.#reject?.(failure);
  }

  #breakOff(outcome: Outcome): void {
    this.#abortUpstream();
    this.#outcome = outcome;
    const { request, response } = this.call;
    const flush = outcome === "upstream_broke" || outcome === "upstream_silent";
    if (flush) response.flush();
    breakOff(response, {
      flush,
      byReset: this.#isCloseDelimited || request.httpVersionMinor === 0,
    });
  }

  #clientClosed(): void {
    if (!this.#isAnswered) {
      if (!this.over) this.#giveUp(new ClientLeft());
      return;
    }
    if (!this.over) this.#abortUpstream();
    const hasAll = this.#outcome !== "completed" || this.call.response.delivered;
    this.end(hasAll ? (this.#outcome ?? "client_left") : "client_left");
  }
}

const NO_BODY = Promise.resolve(undefined);
