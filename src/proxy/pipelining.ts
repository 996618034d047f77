// Pipelined requests (RFC 9112, 9.3.2): one of a connection waits for the answer before it, and what comes behind that one is neither
// parsed nor read further. So a client that asks without waiting for answers costs no more than one that waits. Must never lose a
// byte, nor hand over a request before its turn.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Answer } from "./answer.ts";

/** llhttp's HPE_PAUSED: what its on_headers_complete returns to stop behind a header section. Node passes it on unread. */
const PAUSED = 21;
// How much may have come behind the request that waits before the socket is no longer read. Reading on tells of a client that leaves;
// that one which has sent more has left is noticed when an answer is written to it.
const HELD_BYTES = 16 * 1024;

/** Of Node's parser, the part that stops and goes on. */
interface Parser {
  onIncoming: (request: IncomingMessage, keepAlive: boolean) => number;
  resume(): void;
}

type Parsed = Duplex & { readonly parser?: Parser | null };

/** What Node gives `clientError`. */
export interface ParseError extends NodeJS.ErrnoException {
  readonly bytesParsed?: number;
  readonly rawPacket?: Buffer;
}

export class Pipelining {
  readonly #readings = new WeakMap<Duplex, Reading>();

  /** Takes a connection on, once Node parses it and before anything has come. */
  watch(socket: Duplex): void {
    this.#readings.set(socket, new Reading(socket));
  }

  /** Calls `serve` when the answer to a request has its turn; until then its connection is not read further. */
  wait(socket: Socket, response: Answer, serve: () => void): void {
    const reading = this.#readings.get(socket);
    reading?.stop();
    response.once("socket", () => {
      serve();
      // Not at once: others have their turn between two requests of one connection.
      if (reading !== undefined) setImmediate(() => reading.goOn());
    });
  }

  /** Whether an error of the parser only says that it has stopped; then what it has not read is kept. */
  hasStopped(error: ParseError, socket: Duplex): boolean {
    return error.code === "HPE_PAUSED" && this.#readings.get(socket)?.keepRest(error) === true;
  }

  /** Leaves the bytes of a connection that has become a tunnel to others. */
  leave(socket: Duplex): void {
    this.#readings.get(socket)?.leave();
  }
}

/** How one connection is read. Node's parser takes the bytes from the system by itself until a request has had to wait. */
class Reading {
  readonly #socket: Parsed;
  #mustStop = false;
  /** While a request waits: what came behind its header section. */
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

  /** Stops the parser behind the header section that it is handing over. */
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
      // Node has paused it, too, and takes nothing before the client has read.
      socket.once("drain", () => this.goOn());
      return;
    }
    this.#held = undefined;
    parser.resume();
    // Though nothing is held: the parser then finds that the request without a body is over.
    this.#feed?.(held);
    if (!this.#isHolding && this.#feed !== undefined) socket.resume();
  }

  leave(): void {
    this.#socket.removeListener("data", this.#onData);
    this.#feed = undefined;
  }

  /** From now on the bytes come by us. That there is another listener makes Node's parser leave the system's socket. */
  #takeOver(): void {
    const [feed] = this.#socket.listeners("data") as ((bytes: Buffer) => void)[];
    if (feed === undefined) return;
    this.#feed = feed;
    this.#socket.removeListener("data", feed);
    this.#socket.on("data", this.#onData);
    // Node's parser may have stopped the system's socket for a body that was read slowly, and starts it no more.
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
