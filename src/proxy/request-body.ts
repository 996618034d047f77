// The body of a request on its way up: a small one is gathered into one Buffer, which is cheaper and can be sent again; all
// others stream with backpressure. Never looks into it.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** Bodies of a declared length up to this many bytes are gathered. */
export const GATHERED_BYTES = 256 * 1024;

/**
 * Gathers a body of a declared, small length: the parser lets no more of it through. `done` is not called when the client leaves
 * before its end.
 */
export function gatherBody(
  request: IncomingMessage,
  length: number,
  onChunk: (bytes: number) => void,
  done: (body: Buffer) => void,
): void {
  let missing = length;
  let chunks: Buffer[] | undefined;
  request.on("data", (chunk: Buffer) => {
    onChunk(chunk.length);
    missing -= chunk.length;
    if (missing > 0) (chunks ??= []).push(chunk);
    else if (chunks === undefined) done(chunk);
    else done(Buffer.concat([...chunks, chunk]));
  });
}

/** A request's body as a stream of its own, so that an upstream which stops reading it does not tear down the client's socket. */
export class StreamedBody extends Readable {
  readonly #request: IncomingMessage;
  /** Whether the upstream wants more and the client has not sent it. */
  waitingForClient = false;

  /** `onProgress` is called for each chunk, and with 0 at the body's end. */
  constructor(request: IncomingMessage, onProgress: (bytes: number) => void) {
    super({ highWaterMark: 64 * 1024 });
    this.#request = request;
    request.on("data", (chunk: Buffer) => {
      if (this.destroyed) return;
      this.waitingForClient = false;
      onProgress(chunk.length);
      if (!this.push(chunk)) request.pause();
    });
    request.on("end", () => {
      this.waitingForClient = false;
      onProgress(0);
      if (!this.destroyed) this.push(null);
    });
    request.on("close", () => {
      if (!request.complete) this.destroy();
    });
    request.pause();
  }

  override _read(): void {
    this.waitingForClient = !this.#request.complete;
    this.#request.resume();
  }
}
