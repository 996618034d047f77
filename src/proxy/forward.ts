// One request forwarded and its answer relayed: undici dispatch, backpressure both ways, abort both ways, deadlines. Bytes
// pass as they come. An answer that breaks off breaks the client's, too: it must never look complete.
import type { IncomingMessage } from "node:http";
import type { Dispatcher } from "undici";
import type { Grant, OpenCall } from "../access/index.ts";
import type { Deadlines } from "../config.ts";
import type { RefusalReason } from "../errors.ts";
import type { Answer, AnswerWatcher } from "./answer.ts";
import { clientBase, withClientUrls } from "./answer-urls.ts";
import type { Call, Plan } from "./call.ts";
import type { DeadlineClock, Waiting } from "./deadlines.ts";
import type { Exchange, Exchanges, Outcome } from "./exchange.ts";
import { breakOff, discardRest } from "./endings.ts";
import { fieldValue, responseSection, withoutField } from "./headers.ts";
import { LONGEST_ID, reflectsCredential } from "./request-ids.ts";
import { gatherBody, StreamedBody, type BodyCheck, type Gathered } from "./request-body.ts";
import { codeOf, hasBody, rawHead, reasonOf, statusPhrase } from "./upstream-answer.ts";
import type { Connection, UpstreamHandler, Upstreams } from "./upstream.ts";

export interface ForwardContext {
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

/** How a call ends that has no answer of the upstream's: only possible while nothing of an answer has been sent. */
export interface Ending {
  /** Answers the client in our own name. */
  refuse(call: Call, response: Answer, reason: RefusalReason): void;
  /** The same for what is nobody's refusal: it is logged. */
  fail(call: Call, response: Answer, error: unknown): void;
}

// A reused connection that the upstream was just closing shows within a round trip. What breaks later may have been worked on.
const RETRY_WITHIN_MS = 1_000;
// How often a call that waits for a connection is decided anew: once for each change that comes in between.
const MAX_SENDINGS = 4;
const RETRIABLE: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);
/** To do it twice is to do it once (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

export class Forwarding implements UpstreamHandler, Waiting, OpenCall, AnswerWatcher {
  connection: Connection | undefined;
  waitingAt = -1;
  protected readonly context: ForwardContext;
  protected readonly call: Call;
  protected readonly exchange: Exchange;
  protected readonly request: IncomingMessage;
  protected readonly response: Answer;
  protected readonly ending: Ending;
  /** What was sent last. */
  protected plan: Plan | undefined;
  /** The protocol that is asked for in place of HTTP. */
  protected readonly upgrade: string | undefined;
  /** Set once: from then on nothing that the upstream does matters any more. */
  protected over = false;
  #controller: Dispatcher.DispatchController | undefined;
  #outcome: Outcome | undefined;
  #body: Buffer | StreamedBody | null = null;
  #isStreamed = false;
  #gathering = false;
  /** Bytes that are kept for it, of what all calls together may keep. */
  #gatheredBytes = 0;
  #attempts = 0;
  /** While it is handed to a connection: what goes up in there was decided in this turn. */
  #isSending = false;
  #overtaken = 0;
  #answered = false;
  #closeDelimited = false;
  #listensForDrain = false;
  /** Whether a streamed body has yet to pass its check. */
  #isUnchecked = false;
  /** What has come of an answer before the body had passed its check. A paused upstream that ends its connection still has some. */
  #held: (() => void)[] = [];
  #progressMs: number;
  #pausedMs: number | undefined;

  constructor(context: ForwardContext, call: Call, response: Answer, ending: Ending) {
    this.context = context;
    this.call = call;
    this.exchange = call.exchange;
    this.request = call.request;
    this.response = response;
    this.ending = ending;
    response.on("close", () => this.#clientClosed());
    context.deadlineClock.add(this);
    this.#progressMs = context.deadlineClock.nowMs();
  }

  /** Of the call as it was last decided. */
  get grant(): Grant {
    const { grant } = this.call;
    if (grant === undefined) throw new Error("a call that is forwarded without a grant");
    return grant;
  }

  /** Takes the body and sends the request. */
  start(): void {
    const { contentLength, isChunked } = this.call;
    if (!isChunked && (contentLength === undefined || contentLength === 0)) {
      this.send();
    } else if (!isChunked && contentLength !== undefined && this.#mayGather(contentLength)) {
      this.#gathering = true;
      this.context.exchanges.pauseOwnTime(this.exchange);
      gatherBody(this.request, contentLength, this.#bodyProgress, (body) => {
        this.#gathering = false;
        this.context.exchanges.resumeOwnTime(this.exchange);
        this.#body = body;
        if (!this.over) this.send();
      });
    } else {
      this.#isStreamed = true;
      this.send();
    }
  }

  /** Has the call decided as of now, and sends it. */
  protected send(): void {
    this.#progressMs = this.context.deadlineClock.nowMs();
    try {
      const prepared = this.call.prepare(this.#body instanceof Buffer ? this.#body : undefined);
      if (prepared instanceof Promise) {
        prepared.then((plan) => this.#sendAs(plan)).catch((error: unknown) => this.#failed(error));
      } else this.#sendAs(prepared);
    } catch (error) {
      this.#failed(error);
    }
  }

  #sendAs(plan: Plan | RefusalReason): void {
    if (this.over) return;
    if (typeof plan === "string") {
      this.#giveUp(plan);
      return;
    }
    this.plan = plan;
    if (this.#isStreamed) {
      this.#body = new StreamedBody(this.request, this.#bodyProgress, this.#check(plan));
    }
    this.#attempts++;
    this.#progressMs = this.context.deadlineClock.nowMs();
    this.#isSending = true;
    this.context.upstreams.dispatch(
      plan.origin,
      {
        path: plan.target,
        method: this.exchange.method,
        headers: plan.headers,
        body: this.#body,
        ...(this.upgrade === undefined ? {} : { upgrade: this.upgrade }),
      },
      this,
    );
    this.#isSending = false;
    // With an idle connection it has been written to it by now; without one, what follows is connecting.
    this.context.exchanges.pauseOwnTime(this.exchange);
  }

  #failed(error: unknown): void {
    if (this.over) return;
    this.#abortUpstream();
    this.ending.fail(this.call, this.response, error);
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
    else if (!this.#isSending && !this.call.isCurrent()) controller.abort(new OvertakenError());
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
    // It does not go up again. An answer can take long, and the key is in there.
    this.plan = undefined;
    if (this.#body instanceof Buffer) this.#body = null;
    this.call.forget();
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
    if (error instanceof OvertakenError) {
      this.#sendAnew();
      return;
    }
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
    const { plan } = this;
    if (plan === undefined || id === undefined || id.length > LONGEST_ID) return;
    if (!reflectsCredential(id, plan.headers, plan.injectedFrom)) {
      this.exchange.upstreamRequestId = id;
    }
  }

  #withClientUrls(headers: readonly string[]): readonly string[] {
    if (this.plan === undefined) return headers;
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

  #mayGather(bytes: number): boolean {
    if (!this.context.gathered.take(this.grant.agentId, bytes)) return false;
    this.#gatheredBytes = bytes;
    return true;
  }

  /** It has waited for a connection, and been overtaken: nothing of it has been written. */
  #sendAnew(): void {
    if (this.#body instanceof StreamedBody) this.#body.leave();
    this.#controller = undefined;
    this.context.exchanges.resumeOwnTime(this.exchange);
    if (++this.#overtaken === MAX_SENDINGS) {
      this.#giveUp("overloaded");
      return;
    }
    this.#attempts--;
    this.send();
  }

  #check({ bodyReader: reader }: Plan): BodyCheck | undefined {
    if (reader === undefined) return undefined;
    this.#isUnchecked = true;
    return {
      reader,
      length: this.call.contentLength,
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
        (fieldValue(this.plan?.headers ?? [], "idempotency-key") ?? "") !== "") &&
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
    this.ending.refuse(this.call, this.response, reason);
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
    this.context.gathered.give(this.grant.agentId, this.#gatheredBytes);
    const outcome =
      this.#outcome === "completed" && !this.response.delivered
        ? "client_left"
        : (this.#outcome ?? "client_left");
    this.context.exchanges.end(this.exchange, outcome);
  }
}

/** What was decided is no longer what would be decided. */
class OvertakenError extends Error {
  override name = "OvertakenError";
}
