// An answer on its way to the client. Node's response object keeps the order of answers on a connection. We write a relayed answer to
// the socket ourselves, with one system call for all that comes in one turn of the event loop. Never holds a byte longer than that turn.
//
// Node's own write() and end() would cost a third more: they check each header value, write four times a chunk, and add streams. Like
// Node's end(), we emit "finish" to tell the server that the answer is out.
import { ServerResponse } from "node:http";
import type { Socket } from "node:net";

// Up to this size, copying a chunk is cheaper than a system call or a gathered write for it.
const SMALL_BYTES = 8 * 1024;
/** How long a client's connection may be idle. Longer than at common load balancers, so that they close it and not we. */
export const KEEP_ALIVE_MS = 75_000;
const KEEP_ALIVE = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}\r\n\r\n`;
// RFC 9110, 5.5. The upstream's parser lets nothing else through; we check once more.
const NOT_A_FIELD_LINE = /[^\t\x20-\x7e\x80-\xff]/;

/** An answer as its header section describes it. */
export interface AnswerHead {
  readonly status: number;
  readonly phrase: string;
  /** Without the fields about the connection and the transfer coding. */
  readonly headers: readonly string[];
  /** Whether Content-Length is among them. */
  readonly hasLength: boolean;
  /** Whether a body follows (RFC 9112, 6.3). */
  readonly hasBody: boolean;
  /** Whether only the connection's end shows where the body ends. */
  readonly isCloseDelimited: boolean;
  /** A Date for an answer that came without one (RFC 9110, 6.6.1). */
  readonly date: string | undefined;
}

/** Learns once that the beginning of a relayed answer was handed to the socket. */
export interface AnswerWatcher {
  answerBegan(): void;
}

export class Answer extends ServerResponse {
  watcher: AnswerWatcher | undefined;
  /** Fields of ours that are added to a relayed answer: name, value, name, value, … */
  added: readonly string[] = [];
  #begun = false;
  #ended = false;
  #delivered = false;
  #hasBody = false;
  #chunked = false;
  #closes = false;
  /** What is written at the end of this turn: latin1, a character a byte. */
  #waiting = "";
  #sendsSoon = false;
  #awaitsDrain = false;

  /** Whether a final answer has begun, by us or by Node. */
  get begun(): boolean {
    return this.#begun || this.headersSent;
  }

  /** Whether all of the answer has been handed over. */
  get ended(): boolean {
    return this.#ended || this.writableEnded;
  }

  /** Whether the system has taken all of a relayed answer. */
  get delivered(): boolean {
    return this.#delivered;
  }

  /** Passes an interim answer on. False means the same as with `relay`. */
  relayInterim(head: string): boolean {
    const { socket } = this;
    if (socket === null || socket.destroyed || socket.write(head, "latin1")) return true;
    this.#awaitDrain(socket);
    return false;
  }

  /** Begins a relayed answer. Throws when the header section holds what can't be sent. */
  relayHead(head: AnswerHead): void {
    const { headers, hasLength, hasBody, isCloseDelimited } = head;
    const isOld = this.req.httpVersionMinor === 0;
    const isChunked = hasBody && !hasLength && !isOld && !isCloseDelimited;
    this.#closes = !this.shouldKeepAlive || isCloseDelimited || (isOld && !hasLength);
    let text = `HTTP/1.1 ${head.status} ${head.phrase}\r\n`;
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const line = `${headers[i] ?? ""}: ${headers[i + 1] ?? ""}`;
      if (NOT_A_FIELD_LINE.test(line)) throw new Error("a header section that can't be sent");
      text += line + "\r\n";
    }
    const { added } = this;
    for (let i = 0; i + 1 < added.length; i += 2)
      text += `${added[i] ?? ""}: ${added[i + 1] ?? ""}\r\n`;
    if (head.date !== undefined) text += `Date: ${head.date}\r\n`;
    if (isChunked) text += "Transfer-Encoding: chunked\r\n";
    text += this.#closes ? "Connection: close\r\n\r\n" : KEEP_ALIVE;
    this.#begun = true;
    this.#hasBody = hasBody;
    this.#chunked = isChunked;
    this.#sendSoon(text);
  }

  /** Passes a part of the body on. False: the client is slow; go on after the event `drain`. */
  relay(chunk: Buffer): boolean {
    const { socket } = this;
    if (socket === null || chunk.length === 0 || !this.#hasBody) return true;
    const size = this.#chunked ? chunk.length.toString(16) + "\r\n" : "";
    const end = this.#chunked ? "\r\n" : "";
    if (chunk.length <= SMALL_BYTES) {
      this.#sendSoon(size + chunk.toString("latin1") + end);
      if (this.#waiting.length > SMALL_BYTES) this.flush();
    } else {
      socket.cork();
      this.#waiting += size;
      this.flush();
      socket.write(chunk);
      if (end !== "") socket.write(end, "latin1");
      socket.uncork();
    }
    if (!socket.writableNeedDrain) return true;
    this.#awaitDrain(socket);
    return false;
  }

  /** Ends a relayed answer. `trailers`: name, value, name, value, …; sent if the body is chunked. */
  relayEnd(trailers: readonly string[]): void {
    let end = "";
    if (this.#chunked) {
      end = "0\r\n";
      for (let i = 0; i + 1 < trailers.length; i += 2) {
        const line = `${trailers[i] ?? ""}: ${trailers[i + 1] ?? ""}`;
        if (!NOT_A_FIELD_LINE.test(line)) end += line + "\r\n";
      }
      end += "\r\n";
    }
    this.#ended = true;
    this.#sendSoon(end);
  }

  /** Writes what waits to the socket. */
  flush(): void {
    const text = this.#waiting;
    this.#waiting = "";
    const { socket } = this;
    if (text !== "" && socket !== null && !socket.destroyed) socket.write(text, "latin1");
  }

  #sendSoon(text: string): void {
    this.#waiting += text;
    if (this.#sendsSoon) return;
    this.#sendsSoon = true;
    process.nextTick(send, this);
  }

  /** @internal */
  send(): void {
    this.#sendsSoon = false;
    this.flush();
    const { watcher } = this;
    if (watcher !== undefined) {
      this.watcher = undefined;
      watcher.answerBegan();
    }
    if (!this.#ended) return;
    const { socket } = this;
    if (socket === null || socket.destroyed) return;
    if (socket.writableLength === 0) this.#finish(socket);
    else {
      socket.write("", (error) => {
        if (error == null && this.socket === socket) this.#finish(socket);
      });
    }
  }

  #finish(socket: Socket): void {
    this.#delivered = true;
    this.emit("finish");
    if (this.#closes) socket.destroySoon();
  }

  #awaitDrain(socket: Socket): void {
    if (this.#awaitsDrain) return;
    this.#awaitsDrain = true;
    socket.once("drain", () => {
      this.#awaitsDrain = false;
      this.emit("drain");
    });
  }
}

function send(answer: Answer): void {
  answer.send();
}
