// The answer on its way to the client. Node's response object keeps its place in line on the connection; what an upstream
// answers is written to the socket by us, all that comes in one turn of the event loop by one system call. Never holds a byte
// for longer than that turn.
//
// Node's own write() and end() cost a third more: a header section checked value by value, four writes a chunk, and streams
// around them. That "finish" tells the server that an answer is out, whoever wrote it, is how its end() does it, too.
import { ServerResponse } from "node:http";
import type { Socket } from "node:net";

// Up to here, copying a chunk is cheaper than a system call or a gathered write of its own.
const SMALL_BYTES = 8 * 1024;
/** How long a client's connection may have nothing to do: longer than at common load balancers in front, so that it is they who close. */
export const KEEP_ALIVE_MS = 75_000;
const KEEP_ALIVE = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}\r\n\r\n`;
// RFC 9110, 5.5. The upstream's parser let nothing else through; this is the last look.
const NOT_A_FIELD_LINE = /[^\t\x20-\x7e\x80-\xff]/;

/** What is known of an answer when its header section has come. */
export interface AnswerHead {
  readonly status: number;
  readonly phrase: string;
  /** Without any field about the connection or the transfer coding. */
  readonly headers: readonly string[];
  /** Whether Content-Length is among them. */
  readonly hasLength: boolean;
  /** Whether a body follows (RFC 9112, 6.3). */
  readonly hasBody: boolean;
  /** Whether only the end of the connection tells the end of the body. */
  readonly isCloseDelimited: boolean;
  /** For an answer that came without Date (RFC 9110, 6.6.1). */
  readonly date: string | undefined;
}

/** Is told once when the beginning of a relayed answer has been handed to the socket. */
export interface AnswerWatcher {
  answerBegan(): void;
}

export class Answer extends ServerResponse {
  watcher: AnswerWatcher | undefined;
  /** What goes with a relayed answer besides its own: name, value, name, value, … */
  added: readonly string[] = [];
  #begun = false;
  #ended = false;
  #delivered = false;
  #hasBody = false;
  #chunked = false;
  #closes = false;
  /** What goes out at the end of this turn: latin1, a character a byte. */
  #waiting = "";
  #sendsSoon = false;
  #awaitsDrain = false;

  /** Whether anything of a final answer is on its way, whoever writes it. */
  get begun(): boolean {
    return this.#begun || this.headersSent;
  }

  /** Whether nothing more is to come. */
  get ended(): boolean {
    return this.#ended || this.writableEnded;
  }

  /** Whether all of a relayed answer has been taken by the system. */
  get delivered(): boolean {
    return this.#delivered;
  }

  /** Passes an interim answer on. False: as with `relay`. */
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

  /** Passes a part of the body on. False: the client is slow; `drain` says when to go on. */
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

  /** Ends a relayed answer. `trailers`: name, value, name, value, …; sent where the client knows them. */
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

  /** Hands what waits to the socket. */
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
