// The socket to an upstream, for what undici can't do: it hands interim responses over one at a time, bounded, with backpressure and
// without status 100; and it reads what an upstream sent before it closed, even after a write failed. Of an answer, it reads only the status
// of interim responses and the end of their header sections.
import type { Socket } from "node:net";

// The upstreams that we know send a few, or one every few seconds while they work.
const MAX_INTERIM = 256;
const MAX_INTERIM_BYTES = 256 * 1024;
const INTERIM = Buffer.from("HTTP/1.1 1");
/** As long as `HTTP/1.1 103`. */
const STATUS_END = 12;
const BLANK_LINE = Buffer.from("\r\n\r\n");
const [ZERO, ONE] = Buffer.from("01");
// Up to this size, copying a body is cheaper than a gathered write.
const SMALL_BYTES = 8 * 1024;

type Written = (error?: Error | null) => void;

/** Replaces a socket's reading and writing. Make it before anybody reads the socket. */
export class UpstreamSocket {
  readonly socket: Socket;
  /** Whether any byte of the expected answer has come, including interim responses. */
  heard = false;
  /** Whether the final answer has yet to begin. */
  awaitsFinal = true;
  #wasReset = false;
  #isHeld = false;
  /** The beginning of a status line that is still too short to read. */
  #begun: Buffer | undefined;
  #isInHead = false;
  #isDropped = false;
  /** How many bytes of the blank line after a header section have passed. */
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

  /** Whether the connection broke instead of ending, so that the end of the answer may be missing. */
  get isBroken(): boolean {
    return this.#wasReset || this.socket.errored != null;
  }

  /** Call this before each request. */
  expectAnswer(): void {
    this.socket.read = this.#readSifted;
    this.heard = false;
    this.awaitsFinal = true;
    this.#interim = 0;
    this.#interimBytes = 0;
  }

  /** Hands nothing over until `release` (backpressure). */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.socket.emit("readable");
  }

  /**
   * A failed write means that the upstream has closed. Node would drop the socket with everything that has come. So it learns of the failure
   * only after that was read; until then nothing more is written.
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
    // EPIPE: the upstream sent FIN before its reset, so all of its answer has come.
    this.#wasReset = code === "ECONNRESET";
    this.socket.once("end", () => this.#afterWrite?.(error));
  };

  readonly #readSifted = (size?: number): Buffer | null => {
    for (;;) {
      if (this.#isHeld && size !== 0) return null;
      const chunk = this.#readOwn(size) as Buffer | null;
      if (chunk === null) return null;
      const passed = this.#sift(chunk);
      if (!this.awaitsFinal) this.socket.read = this.#readOwn; // the chunks of a long answer cost nothing extra
      if (passed !== undefined) return passed;
    }
  };

  /** The part of a chunk that goes on: all of a final answer, or the next part of an interim response. Undefined: none. */
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
        this.awaitsFinal = false; // 101 ends HTTP on this connection
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

  /** Where the present header section ends in a chunk; the chunk's length if it goes on. */
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

/** A small request as latin1 text; undefined for a longer one. */
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

/** Whether a chunk may be the beginning of an interim response. */
function mayBeInterim(chunk: Buffer): boolean {
  const at = INTERIM.length - 1;
  if (chunk.length > at && chunk[at] !== ONE) return false; // most answers
  const length = Math.min(chunk.length, INTERIM.length);
  return chunk.compare(INTERIM, 0, length, 0, length) === 0;
}
