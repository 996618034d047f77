// Pipelined requests (RFC 9112, 9.3.2): one request a connection waits for the answer before it, and nothing behind it is parsed or read
// (backpressure). So a client that pipelines costs no more than one that waits. Must never lose a byte, nor hand over a request before its
// turn.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Answer } from "./answer.ts";

/** llhttp's HPE_PAUSED: returned from on_headers_complete, it pauses the parser after a header section. Node passes it on. */
const PAUSED = 21;
// How much may come behind a waiting request before we stop reading the socket. Reading shows when a client leaves; a client that has sent
// more than this is only noticed when an answer is written to it.
const HELD_BYTES = 16 * 1024;

/** The parts of Node's parser that pause and resume it. */
interface Parser {
  onIncoming: (request: IncomingMessage, keepAlive: boolean) => number;
  resume(): void;
}

type Parsed = Duplex & { readonly parser?: Parser | null };

/** The error of a `clientError` event. */
export interface ParseError extends NodeJS.ErrnoException {
  readonly bytesParsed?: number;
  readonly rawPacket?: Buffer;
}

export class Pipelining {
  readonly #readings = new WeakMap<Duplex, Reading>();

  /** Takes a new connection, before any of its bytes came. */
  watch(socket: Duplex): void {
    this.#readings.set(socket, new Reading(socket));
  }

  /** Calls `serve` when it is the request's turn to be answered; until then its connection is not read. */
  wait(socket: Socket, response: Answer, serve: () => void): void {
    const reading = this.#readings.get(socket);
    reading?.stop();
    response.once("socket", () => {
      serve();
      // Later, so that other connections have their turn in between.
      if (reading !== undefined) setImmediate(() => reading.goOn());
    });
  }

  /** Whether a parser error only says that it was paused; then keeps the bytes that it has not read. */
  hasStopped(error: ParseError, socket: Duplex): boolean {
    return error.code === "HPE_PAUSED" && this.#readings.get(socket)?.keepRest(error) === true;
  }

  /** Lets go of a connection that has become a tunnel. */
  leave(socket: Duplex): void {
    this.#readings.get(socket)?.leave();
  }
}

/** How one connection is read. Node's parser reads the socket directly until a request has to wait. */
class Reading {
  readonly #socket: Parsed;
  #mustStop = false;
  /** The bytes behind the header section of a waiting request. */
  #held: Buffer | undefined;
  /** Node's own listener, which feeds the parser. */
  #feed: ((bytes: Buffer) => void) | undefined;

  constructor(socket: Parsed) {
    this.#socket = socket;
    const { parser } = socket;
    if (parser == null) return; // the connection is over already
    const { onIncoming } = parser;
    parser.onIncoming = (request, keepAlive) => {
      const result = onIncoming(request, keepAlive);
      if (!this.#mustStop) return result;
      this.#mustStop = false;
      return PAUSED;
    };
  }

  /** Pauses the parser after the header section that it is handing over. */
  stop(): void {
    this.#mustStop = true;
  }

  keepRest({ rawPacket, bytesParsed }: ParseError): boolean {
    if (rawPacket === undefined || bytesParsed === undefined) return false;
    this.#held = rawPacket.subarray(bytesParsed);
    if (this.#feed === undefined) this.#takeOver();
    return true;
  }

  get #isHolding(): boolean {
    return this.#held !== undefined;
  }

  goOn(): void {
    const socket = this.#socket;
    const { parser } = socket;
    const held = this.#held;
    if (held === undefined || parser == null || socket.destroyed) return;
    if (socket.writableNeedDrain) {
      // Node has paused it, too, until the client reads.
      socket.once("drain", () => this.goOn());
      return;
    }
    this.#held = undefined;
    parser.resume();
    // Even if it is empty: the parser then sees that a request without a body is over.
    this.#feed?.(held);
    if (!this.#isHolding && this.#feed !== undefined) socket.resume();
  }

  leave(): void {
    this.#socket.removeListener("data", this.#onData);
    this.#feed = undefined;
  }

  /** From now on the bytes come through us. Our listener makes Node's parser stop reading the socket directly. */
  #takeOver(): void {
    const [feed] = this.#socket.listeners("data") as ((bytes: Buffer) => void)[];
    if (feed === undefined) return;
    this.#feed = feed;
    this.#socket.removeListener("data", feed);
    this.#socket.on("data", this.#onData);
    // Node's parser may have paused the socket for a slow body, and won't resume it.
    this.#socket._read(0);
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#held === undefined) {
      this.#feed?.(bytes);
      return;
    }
    this.#held = Buffer.concat([this.#held, bytes]);
    if (this.#held.length > HELD_BYTES) this.#socket.pause();
  };
}
