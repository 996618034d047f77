// Relays a WebSocket: the upgrade request goes up as any request does; after 101 the two sockets are joined.
import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";
import type { RefusalReason } from "../platform/errors.ts";
import { Answer } from "./answer.ts";
import type { Call } from "./call.ts";
import type { Outcome } from "./exchange.ts";
import { linger } from "./endings.ts";
import { closeFrame, FrameTracker, GOING_AWAY, POLICY_VIOLATION } from "./frames.ts";
import { hasHeader, responseSection } from "./headers.ts";
import type { BodyReader } from "./model-judge.ts";
import { Relay, type RelayContext } from "./relay.ts";
import { rawHead } from "./upstream-answer.ts";

// A client should send nothing before the handshake is done. What it sends is kept, up to about this much.
const EARLY_BYTES = 64 * 1024;
// How long the present frame may take to end, before our last frame can be sent.
const FRAME_MS = 1000;

/** The client's side of an upgrade before 101: a plain HTTP answer, and what the client has sent early. */
export interface Handshake {
  /** For a refusal, or for an upstream's answer other than 101. */
  readonly response: Answer;
  readonly early: Buffer[];
}

/** Takes over a socket that asks for an upgrade. Keeps reading it, since only a socket that is read shows its end. */
export function beginHandshake(request: IncomingMessage, socket: Socket, head: Buffer): Handshake {
  const response = new Answer(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  const early: Buffer[] = [head];
  let earlyBytes = head.length;
  socket.on("data", (chunk: Buffer) => {
    early.push(chunk);
    earlyBytes += chunk.length;
    if (earlyBytes > EARLY_BYTES) socket.pause();
  });
  socket.on("end", () => socket.destroy());
  socket.on("error", () => socket.destroy());
  response.on("finish", () => socket.destroySoon());
  return { response, early };
}

export class WebSocketRelay extends Relay {
  protected override readonly upgrade = "websocket";
  readonly #early: readonly Buffer[];
  readonly #client: Socket;
  #directions: readonly Direction[] = [];
  #outcome: Outcome = "completed";
  /** Reads the client's messages, where its models are listed. */
  #reader: BodyReader | undefined;
  #takesLeave = false;

  constructor(context: RelayContext, call: Call, handshake: Handshake) {
    super(context, call);
    this.#client = call.request.socket;
    this.#early = handshake.early;
  }

  /** It has none: what a client sends are messages. */
  override takeBody(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    upstream.on("error", () => upstream.destroy());
    if (this.over || !(upstream instanceof Socket)) {
      upstream.destroy();
      return;
    }
    this.over = true;
    const { context } = this;
    const { exchange, response } = this.call;
    const client = this.#client;
    exchange.status = status;
    context.exchanges.firstByte(exchange);
    response.removeAllListeners("close");
    response.detachSocket(client);
    for (const event of ["data", "end"]) client.removeAllListeners(event);
    client.setNoDelay(true);
    client.write(this.#head(controller.rawHeaders as Buffer[]), "latin1");
    this.#reader = this.sent?.bodyReader;
    this.forget(); // a WebSocket can last for days
    this.answerBegan();
    const nowMs = (): number => context.deadlineClock.nowMs();
    const up = new Direction(client, upstream, nowMs, (bytes) => (exchange.requestBytes += bytes), {
      mayPass: (chunk) => this.#mayPass(chunk),
    });
    const down = new Direction(upstream, client, nowMs, (n) => (exchange.responseBytes += n), {
      isFramed: true,
    });
    this.#directions = [up, down];
    for (const chunk of this.#early) up.pass(chunk);
    client.once("close", () => this.#closed());
    upstream.once("close", () => this.#closed());
  }

  override overdue(nowMs: number): void {
    if (this.#directions.length === 0) super.overdue(nowMs);
    const { clientStallMs } = this.context.deadlines;
    if (this.#directions.some(({ stuckMs }) => nowMs - (stuckMs ?? nowMs) > clientStallMs)) {
      this.#close("client_stalled");
    }
  }

  override cut(reason: RefusalReason): boolean {
    if (this.#directions.length === 0) return super.cut(reason);
    if (this.#outcome !== "completed") return false;
    this.call.exchange.cutBy = reason;
    if (reason === "stopping") this.#takeLeave(closeFrame(GOING_AWAY));
    else this.#close("cut");
    return true;
  }

  #head(raw: readonly Buffer[]): string {
    const { headers, requestId } = responseSection(raw, 101);
    this.noteAnswerId(requestId);
    headers.push("Connection", "Upgrade", "Upgrade", "websocket");
    // The client's credential was among its subprotocols. The answer must select one that it offered.
    const subprotocolScheme = this.sent?.subprotocolScheme;
    if (subprotocolScheme !== undefined && !hasHeader(headers, "sec-websocket-protocol")) {
      headers.push("Sec-WebSocket-Protocol", subprotocolScheme);
    }
    return rawHead(101, headers);
  }

  /** Whether the client's bytes name only allowed models. Others are not sent, and end the WebSocket. */
  #mayPass(chunk: Buffer): boolean {
    const refusal = this.#reader?.take(chunk);
    if (refusal === undefined) return true;
    if (this.#outcome === "completed") {
      this.call.exchange.cutBy = refusal;
      this.#takeLeave(closeFrame(POLICY_VIOLATION, refusal));
    }
    return false;
  }

  /** Ends the WebSocket with a close frame to the client. */
  #takeLeave(frame: Buffer): void {
    this.#outcome = "cut";
    this.#takesLeave = true;
    const client = this.#client;
    const late = setTimeout(() => client.destroy(), FRAME_MS);
    this.#directions[1]?.endWith(frame, () => {
      clearTimeout(late);
      client.removeAllListeners("data");
      linger(client);
    });
  }

  #close(outcome: Outcome): void {
    this.#outcome = outcome;
    for (const { to } of this.#directions) to.destroy();
  }

  #closed(): void {
    if (this.#takesLeave && !this.#client.closed) return;
    for (const { to } of this.#directions) to.destroySoon();
    this.end(this.#outcome);
  }
}

/** One direction of the tunnel: passes bytes on with backpressure. */
class Direction {
  readonly to: Socket;
  /** Since when the receiver hasn't taken the bytes that wait for it. */
  stuckMs: number | undefined;
  readonly #from: Socket;
  readonly #nowMs: () => number;
  readonly #count: (bytes: number) => void;
  readonly #frames: FrameTracker | undefined;
  readonly #mayPass: ((chunk: Buffer) => boolean) | undefined;
  #last: { readonly frame: Buffer; readonly then: () => void } | undefined;

  /** `isFramed`: it can be ended with a frame. `mayPass` sees all bytes in order. */
  constructor(
    from: Socket,
    to: Socket,
    nowMs: () => number,
    count: (bytes: number) => void,
    o: { isFramed?: boolean; mayPass?: (chunk: Buffer) => boolean },
  ) {
    this.#frames = o.isFramed === true ? new FrameTracker() : undefined;
    this.#mayPass = o.mayPass;
    this.#from = from;
    this.to = to;
    this.#nowMs = nowMs;
    this.#count = count;
    from.on("data", (chunk: Buffer) => this.pass(chunk));
    // Half a WebSocket is of no use: what is on its way is still delivered, then both sides end.
    from.on("end", () => {
      this.stuckMs = nowMs();
      to.destroySoon();
    });
    to.on("drain", () => {
      this.stuckMs = undefined;
      from.resume();
    });
    from.resume();
  }

  /** Passes on only the rest of the present frame, and then `frame`. */
  endWith(frame: Buffer, then: () => void): void {
    this.#last = { frame, then };
    this.#endBetweenFrames();
  }

  #endBetweenFrames(): void {
    if (this.#last === undefined || this.#frames?.isBetweenFrames !== true) return;
    this.#from.removeAllListeners("data");
    this.#from.pause();
    this.to.write(this.#last.frame);
    this.#last.then();
  }

  pass(chunk: Buffer): void {
    if (this.#mayPass?.(chunk) === false) return;
    if (this.#last !== undefined) {
      const rest = this.#frames?.followToEnd(chunk) ?? 0;
      this.#count(rest);
      this.to.write(chunk.subarray(0, rest));
      this.#endBetweenFrames();
      return;
    }
    this.#frames?.follow(chunk);
    this.#count(chunk.length);
    if (this.to.write(chunk)) return;
    this.stuckMs ??= this.#nowMs();
    this.#from.pause();
  }
}
