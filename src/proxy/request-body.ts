// The body of a request on its way up. A small one is gathered into one Buffer, which is cheaper and can be sent again. Others stream with
// backpressure, through the model reader if the agent has a list of models. Never keeps a body.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { RefusalReason } from "../platform/errors.ts";
import type { BodyReader } from "./model-judge.ts";

/** Bodies of a declared length up to this many bytes are gathered, while there is room. */
export const GATHERED_BYTES = 256 * 1024;
// The most that all calls of a process, and those of one agent, may gather at once: a few hundred long prompts.
const PROCESS_BYTES = 128 * 1024 * 1024;
const AGENT_BYTES = PROCESS_BYTES / 8;

/** Room for gathered bodies. A body that finds no room streams. */
export class Gathered {
  readonly #byAgent = new Map<string, number>();
  #bytes = 0;

  /** Takes room for a body of this agent's call; false: the body is too long, or there is no room. */
  take(agentId: string, bytes: number): boolean {
    if (bytes > GATHERED_BYTES || this.#bytes + bytes > PROCESS_BYTES) return false;
    const own = (this.#byAgent.get(agentId) ?? 0) + bytes;
    if (own > AGENT_BYTES) return false;
    this.#byAgent.set(agentId, own);
    this.#bytes += bytes;
    return true;
  }

  /** Gives the room back when the call has ended. */
  give(agentId: string, bytes: number): void {
    if (bytes === 0) return;
    const own = (this.#byAgent.get(agentId) ?? 0) - bytes;
    if (own > 0) this.#byAgent.set(agentId, own);
    else this.#byAgent.delete(agentId);
    this.#bytes -= bytes;
  }
}

/**
 * Gathers a body of a small declared length; the parser lets no more through. `done` isn't called when the client leaves before the body's
 * end.
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

/** The check that a streamed body must pass before its last part goes on. */
export interface BodyCheck {
  readonly reader: BodyReader;
  /** Content-Length, in bytes; undefined when there is none. */
  readonly length: number | undefined;
  readonly onRefused: (reason: RefusalReason) => void;
  readonly onPassed: () => void;
}

/** A request's body as a separate stream: an upstream that stops reading it doesn't destroy the client's socket. */
export class StreamedBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #onProgress: (bytes: number) => void;
  /** Undefined: there is no check, or it is done. */
  #check: BodyCheck | undefined;
  #missing: number;
  #readsOn = false;
  /** Whether the upstream stopped taking the body while we read on: it gets no more of it. */
  #isGivenUp = false;
  /** Whether we wait for the client to send more. */
  waitingForClient = false;

  /** Calls `onProgress` for each chunk, and with 0 at the body's end. */
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
    request.on("data", this.#take);
    request.on("end", this.#takeEnd);
    request.on("close", this.#requestClosed);
    request.pause();
  }

  /** Lets another stream take over the request's body. Only before any of it was taken. */
  leave(): void {
    this.#request.pause();
    this.#request.off("data", this.#take);
    this.#request.off("end", this.#takeEnd);
    this.#request.off("close", this.#requestClosed);
    this.destroy();
  }

  /** Reads on until the check is done, even if the upstream takes no more. */
  readOn(): void {
    this.#readsOn = true;
    this.waitingForClient = true;
    this.#request.resume();
  }

  override _read(): void {
    this.waitingForClient = !this.#request.complete;
    this.#request.resume();
  }

  readonly #requestClosed = (): void => {
    if (!this.#request.complete) this.destroy();
  };

  readonly #take = (chunk: Buffer): void => {
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
  };

  readonly #takeEnd = (): void => {
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
  };

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
