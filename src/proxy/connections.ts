// Which answer each connection is sending, and whether it is the last one there. The listener needs it for pipelined and raw requests, and
// to end connections when it drains. Must never mix two answers on one connection.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Answer } from "./answer.ts";
import { reset } from "./endings.ts";

export class Connections {
  readonly #current = new WeakMap<Duplex, Answer>();
  /** Answers after which another one must be sent on the same connection. */
  readonly #followed = new WeakSet<Answer>();
  #draining = false;

  /** Whether the service drains: each connection ends with its present answer. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Notes that `response` is now the answer of its connection. */
  begin(socket: Socket, response: Answer): void {
    this.#current.set(socket, response);
    if (this.#draining) this.#endWith(response);
  }

  /** Notes that another request has come while an answer is under way. */
  follow(socket: Socket): void {
    const before = this.#current.get(socket);
    if (before === undefined) return;
    this.#followed.add(before);
    if (this.#draining && !before.begun) this.#endWith(before);
  }

  /** Whether a socket has no answer under way. If it has one, ends the socket: a client would mix the two up. */
  isFree(socket: Duplex): socket is Socket {
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return false;
    }
    const current = this.#current.get(socket);
    if (current === undefined || current.closed) return true;
    if (current.ended) socket.destroySoon();
    else reset(socket); // an answer without a length must not look whole
    return false;
  }

  /** Makes each open connection end with its answer. Returns the answers that have begun, and so have already promised keep-alive. */
  drain(each: (visit: (socket: Socket) => void) => void): Answer[] {
    this.#draining = true;
    const begun: Answer[] = [];
    each((socket) => {
      const current = this.#current.get(socket);
      if (current === undefined || current.closed) return;
      if (current.begun) begun.push(current);
      else this.#endWith(current);
    });
    return begun;
  }

  /** Ends the connection after this answer, unless another request already waits there. */
  #endWith(response: Answer): void {
    response.shouldKeepAlive = this.#followed.has(response);
  }
}
