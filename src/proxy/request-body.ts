// The body of a request on its way up: a small one is gathered into one Buffer, which is cheaper and can be sent again; all
// others stream with backpressure, past the reader of an agent's models if there is one. Never keeps it.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { RefusalReason } from "../errors.ts";
import type { BodyReader } from "./model-judge.ts";

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

/** What a streamed body has to pass before the last of it goes on. */
export interface BodyCheck {
  readonly reader: BodyReader;
  /** Content-Length, in bytes; undefined when there is none. */
  readonly length: number | undefined;
  readonly onRefused: (reason: RefusalReason) => void;
  readonly onPassed: () => void;
}

/** A request's body as a stream of its own, so that an upstream which stops reading it does not tear down the client's socket. */
export class StreamedBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #onProgress: (bytes: number) => void;
  /** Undefined: nothing is to be checked, or no more. */
  #check: BodyCheck | undefined;
  #missing: number;
  #readsOn = false;
  /** Whether the upstream has not taken what was read on: from then on it gets nothing more. */
  #isGivenUp = false;
  /** Whether more is wanted and the client has not sent it. */
  waitingForClient = false;

  /** `onProgress` is called for each chunk, and with 0 at the body's end. */
  constructor(
    request: IncomingMessage,
    onProgress: (bytes: number) => void,
    check: BodyCheck | undefined,
  ) {
    super({ highWaterMark: 64 * 1024 });
    this.#request = request;
    this.#onProgress = onProgress;
    this.#check = check;
    this.#missing = check?.length ?? Infinity;
    request.on("data", (chunk: Buffer) => this.#take(chunk));
    request.on("end", () => this.#takeEnd());
    request.on("close", () => {
      if (!request.complete) this.destroy();
    });
    request.pause();
  }

  /** Goes on reading until the check is done, whether the upstream takes it or not. */
  readOn(): void {
    this.#readsOn = true;
    this.waitingForClient = true;
    this.#request.resume();
  }

  override _read(): void {
    this.waitingForClient = !this.#request.complete;
    this.#request.resume();
  }

  #take(chunk: Buffer): void {
    const check = this.#check;
    if (this.destroyed && check === undefined) return;
    this.waitingForClient = this.#readsOn;
    this.#onProgress(chunk.length);
    if (check === undefined) {
      this.#pass(chunk);
      return;
    }
    this.#missing -= chunk.length;
    const isWhole = this.#missing <= 0;
    const refusal = check.reader.take(chunk) ?? (isWhole ? check.reader.end() : undefined);
    if (refusal !== undefined) {
      this.#refuse(check, refusal);
      return;
    }
    this.#pass(chunk);
    if (isWhole) this.#passed(check);
  }

  #takeEnd(): void {
    this.waitingForClient = false;
    this.#onProgress(0);
    const check = this.#check;
    const refusal = check?.reader.end();
    if (check !== undefined) {
      if (refusal !== undefined) {
        this.#refuse(check, refusal);
        return;
      }
      this.#passed(check);
    }
    if (!this.destroyed && !this.#isGivenUp) this.push(null);
  }

  #pass(chunk: Buffer): void {
    if (this.destroyed || this.#isGivenUp || this.push(chunk)) return;
    if (this.#readsOn) this.#isGivenUp = true;
    else this.#request.pause();
  }

  #passed(check: BodyCheck): void {
    this.#check = undefined;
    this.#readsOn = false;
    check.onPassed();
  }

  #refuse(check: BodyCheck, reason: RefusalReason): void {
    this.#check = undefined;
    check.onRefused(reason);
    this.destroy();
  }
}
