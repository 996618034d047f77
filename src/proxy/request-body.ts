// The body of a request on its way up: a small one is gathered into one Buffer, which is cheaper and can be sent again; all
// others stream with backpressure. Never looks into it.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** Bodies of a declared length up to this many bytes are gathered. */
export const GATHERED_BYTES = 256 * 1024;

/** Gathers a body of a declared, small length. `done` is not called when the client leaves before its end. */
export function gatherBody(
  request: IncomingMessage,
  onChunk: (bytes: number) => void,
  done: (body: Buffer) => void,
): void {
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  request.on("data", (chunk: Buffer) => {
    onChunk(chunk.length);
    if (first === undefined) first = chunk;
    else (more ??= [first]).push(chunk);
  });
  request.on("end", () => {
    if (request.complete) done(more === undefined ? (first as Buffer) : Buffer.concat(more));
  });
}

/** A request's body as a stream of its own, so that an upstream which stops reading it does not tear down the client's socket. */
export class StreamedBody extends Readable {
  readonly #request: IncomingMessage;
  /** Whether the upstream wants more and the client has not sent it. */
  waitingForClient = false;
  ended = false;

  constructor(request: IncomingMessage, onChunk: (bytes: number) => void) {
    super({ highWaterMark: 64 * 1024 });
    this.#request = request;
    request.on("data", (chunk: Buffer) => {
      if (this.destroyed) return;
      this.waitingForClient = false;
      onChunk(chunk.length);
      if (!this.push(chunk)) request.pause();
    });
    request.on("end", () => {
      this.ended = true;
      if (!this.destroyed) this.push(null);
    });
    request.on("close", () => {
      if (!request.complete) this.destroy(new Error("the client left within its request"));
    });
    request.pause();
  }

  override _read(): void {
    this.waitingForClient = true;
    this.#request.resume();
  }
}
