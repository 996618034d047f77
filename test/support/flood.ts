// Large bodies that are made as they are sent and hashed as they arrive, so that a test itself holds nothing of them.
import { createHash, type Hash } from "node:crypto";
import type { Writable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const BLOCK = Buffer.alloc(64 * 1024);
for (let i = 0; i < BLOCK.length; i++) BLOCK[i] = (i * 31 + (i >> 8)) & 0xff;

export interface Flood {
  /** Bytes handed to the stream so far. */
  readonly sent: number;
  /** Hex SHA-256 of the whole body. */
  readonly digest: string;
}

/** Writes `bytes` to `to` as fast as it takes them, then calls `done`. With `frame`, each block goes out as it says. */
export function flood(
  to: Writable,
  bytes: number,
  done: () => void,
  frame: (block: Buffer) => Buffer = (block) => block,
): Flood {
  const hash = createHash("sha256");
  let sent = 0;
  let digest = "";
  const write = (): void => {
    while (sent < bytes) {
      const block = Buffer.from(BLOCK.subarray(0, Math.min(BLOCK.length, bytes - sent)));
      block.writeUInt32BE(sent >>> 8, 0); // no two blocks alike: a lost or swapped one shows
      hash.update(block);
      sent += block.length;
      if (!to.write(frame(block))) {
        to.once("drain", write);
        return;
      }
    }
    digest = hash.digest("hex");
    done();
  };
  write();
  return {
    get sent() {
      return sent;
    },
    get digest() {
      return digest;
    },
  };
}

/** A block as one chunk of a chunked body. */
export function asChunk(block: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`${block.length.toString(16)}\r\n`),
    block,
    Buffer.from("\r\n"),
  ]);
}

/** Counts and hashes what comes after the first empty line. */
export function createBodyHash(): { add(chunk: Buffer): void; bytes: number; digest(): string } {
  const hash: Hash = createHash("sha256");
  let head = "";
  let inBody = false;
  return {
    bytes: 0,
    add(chunk) {
      let body = chunk;
      if (!inBody) {
        head += chunk.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        inBody = true;
        body = Buffer.from(head.slice(end + 4), "latin1");
      }
      this.bytes += body.length;
      hash.update(body);
    },
    digest: () => hash.digest("hex"),
  };
}

/** The megabytes of buffers that something still holds: measured after collecting what nothing does. */
export function heldMb(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers / 1024 / 1024;
}

/** The highest of `heldMb()`, measured each 16 MB of what `add` is told of. */
export function createHeldMeter(): { add(bytes: number): void; highestMb(): number } {
  let highest = heldMb();
  let since = 0;
  return {
    add(bytes) {
      since += bytes;
      if (since < 16 * 1024 * 1024) return;
      since = 0;
      highest = Math.max(highest, heldMb());
    },
    highestMb: () => highest,
  };
}
