// The socket to an upstream, where undici can't be told what we need of it: interim answers are handed over one at a time, held
// back on demand, bounded, and without those of status 100; what an upstream has said before it closed is read although it takes
// no more. Looks at nothing of an answer but the status of interim ones and where their header sections end.
import type { Socket } from "node:net";

// No upstream that we know of sends more than a few, or one each few seconds for as long as it works.
const MAX_INTERIM = 256;
const MAX_INTERIM_BYTES = 256 * 1024;
const INTERIM = Buffer.from("HTTP/1.1 1");
/** As long as `HTTP/1.1 103`. */
const STATUS_END = 12;
const BLANK_LINE = Buffer.from("\r\n\r\n");
const [ZERO, ONE] = Buffer.from("01");
// Up to here, copying a body is cheaper than a gathered write.
const SMALL_BYTES = 8 * 1024;

type Written = (error?: Error | null) => void;

/** Takes the place of a socket's own reading and writing; made before anybody reads it. */
export class UpstreamSocket {
  readonly socket: Socket;
  /** Whether any byte of the answer that is expected has come, an interim one's included. */
  heard = false;
  /** Whether the final answer has yet to begin. */
  awaitsFinal = true;
  #wasReset = false;
  #isHeld = false;
  /** The beginning of a status line that is too short to be told from another. */
  #begun: Buffer | undefined;
  #isInHead = false;
  #isDropped = false;
  /** How much of the blank line that ends a header section has just passed. */
  #blankRead = 0;
  #interim = 0;
  #interimBytes = 0;
  #afterWrite: Written | undefined;
  readonly #readOwn: Socket["read"];

  constructor(socket: Socket) {
    this.socket = socket;
    this.#readOwn = socket.read.bind(socket);
    socket.read = this.#readSifted;
    const write = socket._write.bind(socket);
    socket._write = (chunk, encoding, done) => {
      this.#afterWrite = done;
      write(chunk, encoding, this.#written);
    };
    const writeMany = socket._writev?.bind(socket);
    if (writeMany === undefined) return;
    socket._writev = (chunks, done) => {
      this.#afterWrite = done;
      const text = asOneText(chunks);
      if (text === undefined) writeMany(chunks, this.#written);
      else write(text, "latin1", this.#written);
    };
  }

  /** Whether the connection broke instead of ending: what the upstream said last may be missing. */
  get isBroken(): boolean {
    return this.#wasReset || this.socket.errored != null;
  }

  /** To be called before each request on it. */
  expectAnswer(): void {
    this.socket.read = this.#readSifted;
    this.heard = false;
    this.awaitsFinal = true;
    this.#interim = 0;
    this.#interimBytes = 0;
  }

  /** Hands over nothing more until `release`: what is sent meanwhile stays in the network. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.socket.emit("readable");
  }

  /**
   * A write that fails tells only that the upstream has closed. Node would drop the socket with all that has come; so it learns of the
   * failure when that is read. Until then nothing more is written.
   */
  readonly #written = (error?: Error | null): void => {
    if (error == null) {
      this.#afterWrite?.();
      return;
    }
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ECONNRESET" && code !== "EPIPE") {
      this.#afterWrite?.(error);
      return;
    }
    // After the upstream's FIN a reset is an EPIPE: all that it said has come.
    this.#wasReset = code === "ECONNRESET";
    this.socket.once("end", () => this.#afterWrite?.(error));
  };

  readonly #readSifted = (size?: number): Buffer | null => {
    for (;;) {
      if (this.#isHeld && size !== 0) return null;
      const chunk = this.#readOwn(size) as Buffer | null;
      if (chunk === null) return null;
      const passed = this.#sift(chunk);
      if (!this.awaitsFinal) this.socket.read = this.#readOwn; // each chunk of a long answer costs no more than before
      if (passed !== undefined) return passed;
    }
  };

  /** What of a chunk goes on: all of a final answer's, or the next part of an interim one. Undefined: nothing. */
  #sift(read: Buffer): Buffer | undefined {
    this.heard = true;
    let chunk = read;
    if (!this.#isInHead) {
      if (this.#begun !== undefined) chunk = Buffer.concat([this.#begun, read]);
      this.#begun = undefined;
      if (!mayBeInterim(chunk)) {
        this.awaitsFinal = false;
        return chunk;
      }
      if (chunk.length < STATUS_END) {
        this.#begun = chunk;
        return undefined;
      }
      const [second, third] = chunk.subarray(INTERIM.length);
      if (second === ZERO && third === ONE) {
        this.awaitsFinal = false; // what an upgrade asks for ends HTTP
        return chunk;
      }
      this.#isInHead = true;
      this.#isDropped = second === ZERO && third === ZERO;
      this.#interim++;
    }
    const end = this.#endOfHead(chunk);
    this.#interimBytes += end;
    if (this.#interim > MAX_INTERIM || this.#interimBytes > MAX_INTERIM_BYTES) {
      this.socket.destroy(
        Object.assign(new Error("too many interim answers"), { code: "X3SPROXY_INTERIM_FLOOD" }),
      );
      return undefined;
    }
    if (end < chunk.length) this.socket.unshift(chunk.subarray(end));
    return this.#isDropped ? undefined : chunk.subarray(0, end);
  }

  /** Where in a chunk the header section that is under way ends; the chunk's length when it goes on. */
  #endOfHead(chunk: Buffer): number {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === BLANK_LINE[this.#blankRead]) this.#blankRead++;
      else this.#blankRead = byte === BLANK_LINE[0] ? 1 : 0;
      if (this.#blankRead === BLANK_LINE.length) {
        this.#blankRead = 0;
        this.#isInHead = false;
        return at + 1;
      }
    }
    return chunk.length;
  }
}

/** A small request, a character a byte; undefined for a longer one. */
function asOneText(chunks: readonly { chunk: string | Buffer; encoding: BufferEncoding }[]) {
  let text = "";
  for (const { chunk, encoding } of chunks) {
    if (text.length + chunk.length > SMALL_BYTES) return undefined;
    if (typeof chunk !== "string") text += chunk.toString("latin1");
    else if (encoding === "latin1") text += chunk;
    else return undefined;
  }
  return text;
}

/** Whether it begins as an interim answer does, as far as it goes. */
function mayBeInterim(chunk: Buffer): boolean {
  const at = INTERIM.length - 1;
  if (chunk.length > at && chunk[at] !== ONE) return false; // most answers
  const length = Math.min(chunk.length, INTERIM.length);
  return chunk.compare(INTERIM, 0, length, 0, length) === 0;
}
