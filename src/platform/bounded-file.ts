// Small files, as settings and commands name them: keys, certificates, passwords. A wrong name can lead to a file of any size, or to a
// device that never ends, so nothing is read past a bound. Pipes are read, too.
import fs from "node:fs";
import { open } from "node:fs/promises";

const PIECE_BYTES = 64 * 1024;

/** A chain of certificates, or as many master keys as anybody has, is shorter. */
export const SMALL_FILE_BYTES = 1024 * 1024;

/** All of the file. Throws the system's errors, and one with the code EFBIG for a longer file. */
export async function readSmallFile(path: string): Promise<Buffer<ArrayBuffer>> {
  const file = await open(path);
  const pieces = new Pieces();
  try {
    for (;;) {
      const piece = Buffer.alloc(PIECE_BYTES);
      const { bytesRead } = await file.read(piece);
      if (bytesRead === 0) return pieces.whole();
      pieces.add(piece.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
    pieces.wipe();
  }
}

/** The same, before there is anything to wait for. */
export function readSmallFileSync(path: string): Buffer<ArrayBuffer> {
  const file = fs.openSync(path, "r");
  const pieces = new Pieces();
  try {
    for (;;) {
      const piece = Buffer.alloc(PIECE_BYTES);
      const bytesRead = fs.readSync(file, piece);
      if (bytesRead === 0) return pieces.whole();
      pieces.add(piece.subarray(0, bytesRead));
    }
  } finally {
    fs.closeSync(file);
    pieces.wipe();
  }
}

class Pieces {
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes <= SMALL_FILE_BYTES) return;
    throw Object.assign(new Error("the file is too large"), { code: "EFBIG" });
  }

  whole(): Buffer<ArrayBuffer> {
    return Buffer.concat(this.#pieces);
  }

  /** There may be a key in it. */
  wipe(): void {
    for (const piece of this.#pieces) piece.fill(0);
  }
}
