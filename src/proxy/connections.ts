// Which answer is under way on each connection, and which is its last: what the listener has to know to answer a pipelined or
// raw request in its turn, and to end connections when it drains. Must never let two answers be taken for each other.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Answer } from "./answer.ts";
import { reset } from "./endings.ts";

export class Connections {
  readonly #current = new WeakMap<Duplex, Answer>();
  /** The answers that another one is to follow. */
  readonly #followed = new WeakSet<Answer>();
  #draining = false;

  /** Whether each connection ends with its answer. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Notes that `response` has its turn on its connection. */
  begin(socket: Socket, response: Answer): void {
    this.#current.set(socket, response);
    if (this.#draining) this.#endWith(response);
  }

  /** Notes that a request has come behind the one that has its turn. */
  follow(socket: Socket): void {
    const before = this.#current.get(socket);
    if (before === undefined) return;
    this.#followed.add(before);
    if (this.#draining && !before.begun) this.#endWith(before);
  }

  /** Whether a socket is free for an answer. If another is under way on it, ends it: the two would be taken for each other. */
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

  /** Has each of the open connections end with its answer; gives those of the answers for which it is too late, since they have begun. */
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

  /** Its connection ends with it, unless it is to carry another answer that is already asked for. */
  #endWith(response: Answer): void {
    response.shouldKeepAlive = this.#followed.has(response);
  }
}
