// Reads the small files that settings and commands name: keys, certificates, passwords. A wrong name can lead to a huge file or an
// endless device, so never reads past a bound. Reads pipes, too.
import fs from "node:fs";
import { open } from "node:fs/promises";

const PIECE_BYTES = 64 * 1024;

/** Longer than any chain of certificates or list of master keys. */
export const SMALL_FILE_BYTES = 1024 * 1024;

/** Reads the whole file. Throws the system's errors, and EFBIG for a longer file. */
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

/** The same, synchronously: for the start of a process. */
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

  /** Overwrites all pieces, which may hold a key. */
  wipe(): void {
    for (const piece of this.#pieces) piece.fill(0);
  }
}
