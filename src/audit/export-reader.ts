// Takes an export's bytes apart into its lines, in memory for one line, and hashes those that its last line is about. Knows how lines
// are written, and nothing of what they mean together.
import { createHash } from "node:crypto";
import { readLine } from "./export-line-reading.ts";
import { LineError, MAX_LINE_BYTES, type Line } from "./export-lines.ts";

const LINE_FEED = 10;
const TOO_LONG = "it is longer than any line of an export";

export class ExportReader {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #hash = createHash("sha256");
  #rest: Buffer = Buffer.alloc(0);
  #number = 0;

  /** Of the line that was read last, or couldn't be; from 1. */
  get number(): number {
    return this.#number;
  }

  /** Whether bytes are left that no line feed has ended. */
  get hasRest(): boolean {
    return this.#rest.length > 0;
  }

  /** The lines that these bytes complete. Throws LineError: then nothing that follows can be read either. */
  *read(chunk: Uint8Array): Generator<Line> {
    let data = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const end = data.indexOf(LINE_FEED);
      if (end < 0) break;
      this.#number += 1;
      yield this.#lineOf(data.subarray(0, end + 1));
      data = data.subarray(end + 1);
    }
    if (data.length > MAX_LINE_BYTES) {
      this.#number += 1;
      throw new LineError(TOO_LONG);
    }
    this.#rest = Buffer.from(data);
  }

  /** SHA-256 of all lines so far but the last one of an export. */
  digest(): Buffer {
    return this.#hash.copy().digest();
  }

  #lineOf(bytes: Buffer): Line {
    if (bytes.length - 1 > MAX_LINE_BYTES) throw new LineError(TOO_LONG);
    let text: string;
    try {
      text = this.#decoder.decode(bytes.subarray(0, -1));
    } catch {
      throw new LineError("it isn't UTF-8");
    }
    const line = readLine(text);
    if (line.type !== "end") this.#hash.update(bytes);
    return line;
  }
}
