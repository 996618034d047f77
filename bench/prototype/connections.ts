// The prototype's connections: a client's, with one request at a time on it, and the upstreams', a stack of idle ones for each
// origin. What is decided of a request, the shipped modules decide. Must never forward what they have not decided, and never
// let an answer that broke look whole. Not to be shipped: README.md.
import type { IncomingMessage } from "node:http";
import { connect, isIP, type Socket } from "node:net";
import type { Deadlines } from "../../src/config.ts";
import type { RefusalReason } from "../../src/errors.ts";
import { errorFields, type Log } from "../../src/log.ts";
import { AddressRefusedError, type AddressRule } from "../../src/proxy/address-rule.ts";
import { KEEP_ALIVE_MS } from "../../src/proxy/answer.ts";
import {
  Call,
  type CallContext,
  type Plan,
  type Prepared,
  type Verdict,
} from "../../src/proxy/call.ts";
import type { DeadlineClock, Waiting } from "../../src/proxy/deadlines.ts";
import { linger, reset } from "../../src/proxy/endings.ts";
import type { Exchange, Exchanges, Outcome } from "../../src/proxy/exchange.ts";
import { responseSection } from "../../src/proxy/headers.ts";
import { rawRefusal } from "../../src/proxy/refusal.ts";
import { GATHERED_BYTES } from "../../src/proxy/request-body.ts";
import { codeOf, reasonOf, statusPhrase } from "../../src/proxy/upstream-answer.ts";
import {
  ChunkWalk,
  fieldLines,
  MAX_HEAD_BYTES,
  parseRequestHead,
  parseResponseHead,
  type RequestHead,
  type ResponseHead,
} from "./http1.ts";

export interface Engine {
  readonly calls: CallContext;
  readonly exchanges: Exchanges;
  readonly deadlines: Deadlines;
  readonly deadlineClock: DeadlineClock;
  readonly upstreams: Upstreams;
  readonly httpDate: () => string;
  readonly log: Log;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const READ_BYTES = 64 * 1024;
// Up to here, one string is cheaper than a copy and a gathered write.
const SMALL_BYTES = 8 * 1024;
const KEEP_ALIVE = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}\r\n\r\n`;
const NOT_COVERED =
  "HTTP/1.1 501 Not Implemented\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const RETRY_WITHIN_MS = 1_000;
const RETRIABLE: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE"]);
// In sweeps, one a second.
const HEAD_SWEEPS = 30;
const CLIENT_IDLE_SWEEPS = KEEP_ALIVE_MS / 1000;
const UPSTREAM_IDLE_SWEEPS = 50;

/** Reads a head. */
const HEAD = 0;
/** Waits for the decision; nothing is read meanwhile. */
const DECIDING = 1;
/** Gathers a body. */
const BODY = 2;
/** Waits for the upstream. */
const ASKED = 3;
const ANSWERING = 4;
/** All of the answer is written, not all of it taken. */
const DELIVERING = 5;
/** Nothing that comes matters any more. */
const OVER = 6;

export class ClientConnection implements Waiting {
  waitingAt = -1;
  readonly #engine: Engine;
  readonly #socket: Socket;
  #state = HEAD;
  #held: Buffer | undefined;
  #sweeps = 0;
  // Of the request under way:
  #exchange: Exchange | undefined;
  #call: Call | undefined;
  #closes = false;
  #origin = "";
  #message: string | Buffer = "";
  #filled = 0;
  #attempts = 0;
  #upstream: UpstreamConnection | undefined;
  #progressMs = 0;
  #pausedMs: number | undefined;

  constructor(engine: Engine, socket: Socket) {
    this.#engine = engine;
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("drain", () => this.#drained());
    socket.on("end", () => this.#left());
    socket.on("error", () => undefined); // its close follows
    socket.on("close", () => this.#left());
  }

  /** To be called once a second: ends what has been idle, or at its head, for too long. */
  sweep(): void {
    if (this.#state !== HEAD) return;
    const most = this.#held === undefined ? CLIENT_IDLE_SWEEPS : HEAD_SWEEPS;
    if (++this.#sweeps > most) this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    if (this.#state === HEAD) this.#readHead(bytes);
    else if (this.#state === BODY) this.#gather(bytes, 0);
    else if (this.#state !== OVER) this.#fallOver(); // pipelined
  }

  #readHead(chunk: Buffer): void {
    const held = this.#held;
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk]);
    const end = bytes.indexOf(HEAD_END, held === undefined ? 0 : Math.max(0, held.length - 3));
    if (end < 0 ? bytes.length > MAX_HEAD_BYTES : end > MAX_HEAD_BYTES) {
      this.#refuse("headers_too_large");
    } else if (end < 0) {
      if (held === undefined) this.#sweeps = 0;
      this.#held = bytes;
    } else {
      this.#held = undefined;
      const head = parseRequestHead(bytes.toString("latin1", 0, end + 4));
      if (head === "not_covered") this.#fallOver();
      else if (head === "bad_request") this.#refuse("bad_request");
      else this.#decide(head, bytes, end + 4);
    }
  }

  #decide(head: RequestHead, bytes: Buffer, bodyAt: number): void {
    const { exchanges, calls, deadlineClock, log } = this.#engine;
    const exchange = exchanges.begin(head.method);
    // All that a Call reads of its request.
    const request = { rawHeaders: head.raw, url: head.target, httpVersion: "1.1" };
    const call = new Call(calls, exchange, request as unknown as IncomingMessage);
    this.#exchange = exchange;
    this.#call = call;
    this.#closes = head.closes;
    this.#state = DECIDING;
    deadlineClock.add(this);
    this.#progressMs = deadlineClock.nowMs();
    const fail = (error: unknown): void => {
      log.error("request failed", { exchangeId: exchange.id, ...errorFields(error) });
      this.#refuse("internal_error");
    };
    const proceed = (verdict: Verdict): Prepared | undefined => {
      if (this.#exchange !== exchange || this.#state !== DECIDING) return undefined;
      if (verdict.kind === "forward") return call.prepare();
      if (verdict.kind === "refuse") return verdict.reason;
      this.#fallOver();
      return undefined;
    };
    const go = (prepared: Plan | RefusalReason | undefined): void => {
      if (prepared === undefined || this.#exchange !== exchange || this.#state !== DECIDING) return;
      if (this.#socket.isPaused()) this.#socket.resume();
      if (typeof prepared === "string") this.#refuse(prepared);
      else this.#forward(head, prepared, bytes, bodyAt);
    };
    try {
      const verdict = call.decide();
      const prepared = verdict instanceof Promise ? verdict.then(proceed) : proceed(verdict);
      if (prepared instanceof Promise) prepared.then(go).catch(fail);
      else go(prepared);
    } catch (error) {
      fail(error);
    }
    // The grant has to be looked up.
    if (this.#exchange === exchange && this.#state === DECIDING) this.#socket.pause();
  }

  #forward(head: RequestHead, plan: Plan, bytes: Buffer, bodyAt: number): void {
    const { contentLength } = head;
    const authority = this.#engine.upstreams.authorityOf(plan.origin);
    const come = bytes.length - bodyAt;
    if (authority === undefined || come > contentLength || contentLength > GATHERED_BYTES) {
      this.#fallOver(); // TLS, pipelined, or a body to be streamed
      return;
    }
    const text =
      `${head.method} ${plan.target} HTTP/1.1\r\nhost: ${authority}\r\nconnection: keep-alive\r\n` +
      fieldLines(plan.headers) +
      (head.method === "POST" && this.#call?.contentLength === undefined
        ? "content-length: 0\r\n"
        : "") +
      "\r\n";
    this.#origin = plan.origin;
    this.#attempts = 0;
    if (come === contentLength && come <= SMALL_BYTES) {
      if (come > 0 && this.#exchange !== undefined) this.#exchange.requestBytes = come;
      this.#message = come === 0 ? text : text + bytes.toString("latin1", bodyAt);
      this.#send();
      return;
    }
    this.#message = Buffer.allocUnsafe(text.length + contentLength);
    this.#filled = this.#message.write(text, "latin1");
    this.#state = BODY;
    this.#gather(bytes, bodyAt);
  }

  #gather(bytes: Buffer, from: number): void {
    const { length } = this.#message;
    const come = bytes.length - from;
    if (typeof this.#message === "string" || this.#filled + come > length) {
      this.#fallOver();
      return;
    }
    bytes.copy(this.#message, this.#filled, from);
    this.#filled += come;
    if (this.#exchange !== undefined) this.#exchange.requestBytes += come;
    this.#progressMs = this.#engine.deadlineClock.nowMs();
    if (this.#filled === length) this.#send();
  }

  #send(): void {
    this.#state = ASKED;
    this.#attempts++;
    this.#progressMs = this.#engine.deadlineClock.nowMs();
    try {
      this.#upstream = this.#engine.upstreams.take(this.#origin);
    } catch (error) {
      this.upstreamFailed(error as Error, false);
      return;
    }
    this.#upstream.ask(this, this.#message);
  }

  /** The head of the answer as the client gets it; undefined when the answer can't be passed on. */
  answerHead(head: ResponseHead): string | undefined {
    const exchange = this.#exchange;
    // It reads bytes, by their toString("latin1"), which gives a string itself.
    const section = responseSection(head.raw as unknown as Buffer[]);
    const isChunked = head.contentLength === undefined;
    if (exchange === undefined || section.isCoded || section.isChunked !== isChunked)
      return undefined;
    exchange.status = head.status;
    this.#engine.exchanges.firstByte(exchange);
    this.#progressMs = this.#engine.deadlineClock.nowMs();
    this.#state = ANSWERING;
    return (
      `HTTP/1.1 ${head.status} ${statusPhrase(head.phrase)}\r\n` +
      fieldLines(section.headers) +
      (section.hasDate ? "" : `Date: ${this.#engine.httpDate()}\r\n`) +
      (isChunked ? "Transfer-Encoding: chunked\r\n" : "") +
      (this.#closes ? "Connection: close\r\n\r\n" : KEEP_ALIVE)
    );
  }

  /**
   * Passes on a head, if there is one, and a part of the body as it came, `dataBytes` of it data. The bytes may be overwritten
   * afterwards. False: the client is slow.
   */
  relay(head: string, bytes: Buffer, from: number, to: number, dataBytes: number): boolean {
    const socket = this.#socket;
    this.#progressMs = this.#engine.deadlineClock.nowMs();
    if (this.#exchange !== undefined) this.#exchange.responseBytes += dataBytes;
    if (to - from <= SMALL_BYTES) {
      socket.write(from === to ? head : head + bytes.toString("latin1", from, to), "latin1");
    } else {
      socket.cork();
      if (head !== "") socket.write(head, "latin1");
      socket.write(Buffer.from(bytes.subarray(from, to)));
      socket.uncork();
    }
    if (!socket.writableNeedDrain) return true;
    this.#pausedMs = this.#progressMs;
    return false;
  }

  /** All of the answer has been relayed. */
  answered(): void {
    this.#upstream = undefined;
    this.#message = "";
    this.#pausedMs = undefined;
    this.#state = DELIVERING;
    this.#progressMs = this.#engine.deadlineClock.nowMs();
    const exchange = this.#exchange;
    if (this.#socket.writableLength === 0) this.#delivered();
    else {
      this.#socket.write("", (error) => {
        if (error == null && this.#exchange === exchange) this.#delivered();
      });
    }
  }

  /** `heard`: whether any byte of an answer has come. No error: the upstream has closed. */
  upstreamFailed(error: Error | undefined, heard: boolean): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    const code = error && codeOf(error);
    if (this.#state === ANSWERING) {
      if (this.#exchange !== undefined) this.#exchange.errorCode = code;
      this.#breakOff("upstream_broke");
      return;
    }
    const { deadlineClock } = this.#engine;
    const mayRetry =
      this.#attempts === 1 &&
      !heard &&
      (upstream?.answers ?? 0) > 0 &&
      (error === undefined || RETRIABLE.has(code ?? "")) &&
      deadlineClock.nowMs() - this.#progressMs <= RETRY_WITHIN_MS;
    if (mayRetry) {
      this.#send();
      return;
    }
    if (this.#exchange !== undefined) this.#exchange.errorCode = code;
    this.#refuse(reasonOf(error ?? new Error("closed"), heard));
  }

  overdue(nowMs: number): void {
    const waitedMs = nowMs - this.#progressMs;
    const { clientIdleMs, clientStallMs, connectMs, firstByteMs, upstreamIdleMs } =
      this.#engine.deadlines;
    if (this.#state === BODY) {
      if (waitedMs > clientIdleMs) this.#refuse("request_timeout");
    } else if (this.#state === ASKED) {
      if (this.#upstream?.connecting === true) {
        if (waitedMs > connectMs) this.#refuse("upstream_connect_timeout");
      } else if (waitedMs > firstByteMs) this.#refuse("upstream_first_byte_timeout");
    } else if (this.#state === DELIVERING) {
      if (waitedMs > clientStallMs) this.#breakOff("client_stalled");
    } else if (this.#pausedMs !== undefined) {
      if (nowMs - this.#pausedMs > clientStallMs) this.#breakOff("client_stalled");
    } else if (this.#state === ANSWERING && waitedMs > upstreamIdleMs) {
      this.#breakOff("upstream_silent");
    }
  }

  #drained(): void {
    this.#pausedMs = undefined;
    if (this.#state !== ANSWERING) return;
    this.#progressMs = this.#engine.deadlineClock.nowMs();
    this.#upstream?.resume();
  }

  #delivered(): void {
    this.#end("completed");
    if (this.#closes) this.#socket.end();
    else {
      this.#state = HEAD;
      this.#sweeps = 0;
    }
  }

  #left(): void {
    if (this.#state === OVER) return;
    this.#end("client_left");
    this.#socket.destroy();
  }

  /** Answers in our own name, and ends the connection with it. */
  #refuse(reason: RefusalReason): void {
    const exchange = this.#exchange ?? this.#engine.exchanges.begin("");
    this.#exchange = exchange;
    const context = this.#call?.refusalContext() ?? {
      exchangeId: exchange.id,
      errorShape: "openai",
      provider: undefined,
      agent: undefined,
      environment: undefined,
      sensitiveEndpoint: undefined,
      namedProvider: undefined,
      dashboardUrl: this.#engine.calls.dashboardUrl,
      retryAfterS: undefined,
    };
    const { status, text } = rawRefusal(reason, context);
    exchange.status = status;
    this.#end("refused", reason);
    this.#socket.write(text);
    linger(this.#socket);
  }

  /** The prototype does not know this. In the middle of an answer, the client must not take what follows for the rest of it. */
  #fallOver(): void {
    const begun = this.#state === ANSWERING || this.#state === DELIVERING;
    const exchange = (this.#exchange ??= this.#engine.exchanges.begin(""));
    exchange.status ??= 501;
    this.#end("refused", "bad_request");
    if (begun) {
      reset(this.#socket);
      return;
    }
    this.#socket.write(NOT_COVERED);
    linger(this.#socket);
  }

  #breakOff(outcome: Outcome): void {
    this.#end(outcome);
    const socket = this.#socket;
    const mayFlush = outcome === "upstream_broke" && socket.writableLength > 0;
    if (mayFlush) socket.write("", () => reset(socket));
    else reset(socket);
  }

  /** Ends the exchange, and the upstream's work on it. */
  #end(outcome: Outcome, reason?: RefusalReason): void {
    const { deadlineClock, exchanges } = this.#engine;
    const exchange = this.#exchange;
    const upstream = this.#upstream;
    this.#state = OVER;
    this.#exchange = undefined;
    this.#call = undefined;
    this.#upstream = undefined;
    this.#message = "";
    this.#held = undefined;
    this.#pausedMs = undefined;
    deadlineClock.delete(this);
    upstream?.abandon();
    if (exchange !== undefined) exchanges.end(exchange, outcome, reason);
  }
}

interface Origin {
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  /** The last used on top. */
  readonly idle: UpstreamConnection[];
}

export class Upstreams {
  /** What every upstream socket reads into: each read is dealt with before the next. */
  readonly buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #rule: AddressRule;
  readonly #origins = new Map<string, Origin>();

  constructor(rule: AddressRule) {
    this.#rule = rule;
  }

  /** What the Host of an origin is; undefined when it is not reached over plain HTTP, which is all that there is here. */
  authorityOf(origin: string): string | undefined {
    return this.#find(origin)?.authority;
  }

  /** An idle connection, or a new one. Throws AddressRefusedError. */
  take(name: string): UpstreamConnection {
    const origin = this.#find(name);
    if (origin === undefined) throw new Error("not plain HTTP");
    return origin.idle.pop() ?? this.#connect(origin);
  }

  /** To be called once a second. */
  sweep(): void {
    for (const { idle } of this.#origins.values()) {
      for (let i = idle.length - 1; i >= 0; i--) idle[i]?.sweep();
    }
  }

  #connect({ host, port, idle }: Origin): UpstreamConnection {
    if (isIP(host) !== 0 && !this.#rule.allows(host, "http:")) throw new AddressRefusedError();
    const connection: UpstreamConnection = new UpstreamConnection(
      connect({
        host,
        port,
        lookup: this.#rule.lookup("http:"),
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 60_000,
        onread: { buffer: this.buffer, callback: (length) => connection.take(length) },
      }),
      this.buffer,
      idle,
    );
    return connection;
  }

  #find(name: string): Origin | undefined {
    const known = this.#origins.get(name);
    if (known !== undefined) return known;
    const { protocol, hostname, port, host: authority } = new URL(name);
    if (protocol !== "http:") return undefined;
    const host = hostname.replace(/^\[|\]$/g, "");
    const origin = { host, port: Number(port || "80"), authority, idle: [] };
    this.#origins.set(name, origin);
    return origin;
  }
}

/** A connection to an upstream, with one request at a time on it. */
export class UpstreamConnection {
  /** Answers that have begun on it; more than none means that it is being reused. */
  answers = 0;
  readonly #socket: Socket;
  readonly #buffer: Buffer;
  readonly #idle: UpstreamConnection[];
  readonly #chunks = new ChunkWalk();
  #asker: ClientConnection | undefined;
  #held: Buffer | undefined;
  #heard = false;
  #inBody = false;
  #isChunked = false;
  #left = 0;
  #closes = false;
  #sweeps = 0;
  #error: Error | undefined;

  constructor(socket: Socket, buffer: Buffer, idle: UpstreamConnection[]) {
    this.#socket = socket;
    this.#buffer = buffer;
    this.#idle = idle;
    socket.on("error", (error) => (this.#error = error));
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#closed());
  }

  get connecting(): boolean {
    return this.#socket.connecting;
  }

  ask(asker: ClientConnection, message: string | Buffer): void {
    this.#asker = asker;
    this.#heard = false;
    this.#inBody = false;
    this.#held = undefined;
    if (typeof message === "string") this.#socket.write(message, "latin1");
    else this.#socket.write(message);
  }

  /** Nobody wants the answer any more. */
  abandon(): void {
    this.#asker = undefined;
    this.#socket.destroy();
  }

  resume(): void {
    this.#socket.resume();
  }

  sweep(): void {
    if (++this.#sweeps > UPSTREAM_IDLE_SWEEPS) this.#socket.destroy();
  }

  /** Takes what has been read into the buffer; false pauses. */
  take(length: number): boolean {
    const asker = this.#asker;
    if (asker === undefined) {
      this.#socket.destroy(); // it speaks unasked
      return true;
    }
    this.#heard = true;
    if (this.#inBody) return this.#relay(asker, "", this.#buffer, 0, length);
    const held = this.#held;
    const bytes =
      held === undefined ? this.#buffer : Buffer.concat([held, this.#buffer.subarray(0, length)]);
    const available = held === undefined ? length : bytes.length;
    const end = bytes.indexOf(HEAD_END); // behind what is available there may be older bytes
    if (end < 0 || end + 4 > available) {
      if (available > MAX_HEAD_BYTES) this.#fail(asker);
      else this.#held = held === undefined ? Buffer.from(bytes.subarray(0, available)) : bytes;
      return true;
    }
    this.#held = undefined;
    const head = parseResponseHead(bytes.toString("latin1", 0, end + 4));
    const text = head && asker.answerHead(head);
    if (head === undefined || text === undefined) {
      this.#fail(asker);
      return true;
    }
    this.answers++;
    this.#inBody = true;
    this.#closes = head.closes;
    this.#isChunked = head.contentLength === undefined;
    this.#left = head.contentLength ?? 0;
    if (this.#isChunked) this.#chunks.begin();
    return this.#relay(asker, text, bytes, end + 4, available);
  }

  #relay(asker: ClientConnection, head: string, bytes: Buffer, from: number, to: number): boolean {
    const chunks = this.#chunks;
    let end: number;
    let dataBytes: number;
    if (this.#isChunked) {
      const before = chunks.dataBytes;
      end = chunks.walk(bytes, from, to);
      dataBytes = chunks.dataBytes - before;
    } else {
      dataBytes = Math.min(this.#left, to - from);
      end = from + dataBytes;
      this.#left -= dataBytes;
    }
    const goesOn = asker.relay(head, bytes, from, end, dataBytes);
    if (this.#isChunked ? chunks.ended : this.#left === 0) {
      this.#asker = undefined;
      // What came behind the answer nobody has asked for, and a request that is not all sent is still in the way.
      if (this.#closes || end < to || this.#socket.writableLength > 0) this.#socket.destroy();
      else this.#release();
      asker.answered();
      return true;
    }
    if (this.#isChunked && chunks.broken) this.#fail(asker);
    return goesOn;
  }

  #release(): void {
    this.#sweeps = 0;
    this.#idle.push(this);
  }

  /** What it says is not HTTP, or not what is covered. */
  #fail(asker: ClientConnection): void {
    this.#asker = undefined;
    this.#socket.destroy();
    asker.upstreamFailed(undefined, true);
  }

  #closed(): void {
    const asker = this.#asker;
    this.#asker = undefined;
    const at = this.#idle.indexOf(this);
    if (at >= 0) this.#idle.splice(at, 1);
    asker?.upstreamFailed(this.#error, this.#heard);
  }
}
