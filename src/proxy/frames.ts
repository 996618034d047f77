// Follows the frames of a WebSocket in one direction (RFC 6455, 5.2): where each begins and ends. Reads only their headers.

/** Close codes (RFC 6455, 7.4.1). */
export const GOING_AWAY = 1001;
export const POLICY_VIOLATION = 1008;

/** The frame by which a server ends a WebSocket (RFC 6455, 5.5.1). `reason`: at most 123 bytes. */
export function closeFrame(code: number, reason = ""): Buffer {
  const head = [0x88, 2 + Buffer.byteLength(reason), code >> 8, code & 0xff];
  return Buffer.concat([Buffer.from(head), Buffer.from(reason)]);
}

export class FrameTracker {
  /** Bytes of the payload that are still to come. */
  #payloadLeft = 0;
  /** Bytes of the header so far. */
  #headRead = 0;
  #lengthBytes = 0;
  #headLength = 2;
  #length = 0;

  /** Whether the last frame is complete, so that another may begin. */
  get isBetweenFrames(): boolean {
    return this.#payloadLeft === 0 && this.#headRead === 0;
  }

  /** Follows the next bytes. */
  follow(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) at = this.#step(chunk, at);
  }

  /** Follows the next bytes up to the end of the present frame; returns how many these are. */
  followToEnd(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && !this.isBetweenFrames) at = this.#step(chunk, at);
    return at;
  }

  #step(chunk: Buffer, at: number): number {
    if (this.#payloadLeft > 0) {
      const taken = Math.min(this.#payloadLeft, chunk.length - at);
      this.#payloadLeft -= taken;
      return at + taken;
    }
    this.#takeHeadByte(chunk[at] ?? 0);
    return at + 1;
  }

  #takeHeadByte(byte: number): void {
    const index = this.#headRead++;
    if (index === 1) {
      const short = byte & 0x7f;
      this.#lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
      this.#headLength = 2 + this.#lengthBytes + ((byte & 0x80) === 0 ? 0 : 4);
      this.#length = short < 126 ? short : 0;
    } else if (index > 1 && index < 2 + this.#lengthBytes) {
      this.#length = this.#length * 256 + byte;
    }
    if (this.#headRead < 2 || this.#headRead < this.#headLength) return;
    this.#payloadLeft = this.#length;
    this.#headRead = 0;
    this.#headLength = 2;
  }
}
