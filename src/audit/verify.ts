// Verifies an export offline, line by line in constant memory. Uses only the export, a key, and checkpoints that were kept elsewhere; no
// network, database or clock. Must never accept what it doesn't understand.
import { createHash } from "node:crypto";
import type { GivenCheckpoint } from "./kept-checkpoints.ts";
import { ExportJudge } from "./export-judge.ts";
import { readLine } from "./export-line-reading.ts";
import { EXPORT_TYPE, LineError, MAX_LINE_BYTES, type ExportLine } from "./export-lines.ts";
import type { VerifyReport } from "./verify-report.ts";

export interface VerifyOptions {
  /** The verifier key that the user has kept; by default the one in the export. */
  readonly key?: string | undefined;
  readonly checkpoints?: readonly GivenCheckpoint[] | undefined;
}

/** The input is not an export. */
export class NotAnExportError extends Error {
  override name = "NotAnExportError";
}

/** Takes an export piece by piece. */
export class ExportVerifier {
  readonly #o: VerifyOptions;
  readonly #reader = new ExportReader();
  // Created when the header was read.
  #judge: ExportJudge | undefined;
  #stopped = false;

  constructor(options: VerifyOptions = {}) {
    this.#o = options;
  }

  /** How many leaves have been checked. */
  get leaves(): number {
    return this.#judge?.leaves ?? 0;
  }

  /** Takes the next bytes. False: the rest need not be read. Throws NotAnExportError. */
  push(chunk: Uint8Array): boolean {
    if (this.#stopped) return false;
    try {
      for (const line of this.#reader.read(chunk)) this.#take(line);
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      if (this.#judge === undefined) throw notAnExport(error.message);
      this.#stopped = true;
      const what = `the line can't be read, and nothing after it was: ${error.message}`;
      this.#judge.find({ line: this.#reader.number, what });
    }
    return !this.#stopped;
  }

  /** Ends the input, and returns the report. Throws NotAnExportError. */
  end(): VerifyReport {
    const judge = this.#judge;
    if (judge === undefined) throw notAnExport("it is empty, or has no whole first line");
    if (this.#stopped) return judge.report();
    if (!judge.hasEnded || this.#reader.hasRest) {
      const what = judge.hasEnded
        ? "something follows the export's last line"
        : "the export is cut off: it has no last line";
      judge.find({ line: this.#reader.number + 1, what });
    }
    judge.close();
    return judge.report();
  }

  /** Throws LineError, NotAnExportError. */
  #take(line: ExportLine): void {
    const judge = this.#judge;
    if (judge === undefined) {
      if (line.type !== EXPORT_TYPE) throw notAnExport("its first line is another one's");
      this.#judge = new ExportJudge(line, this.#o);
    } else if (judge.hasEnded) {
      throw new LineError("it comes after the export's last line");
    } else if (line.type === EXPORT_TYPE) {
      throw new LineError("another export begins in the middle of this one");
    } else if (line.type === "end") {
      judge.finish(line.note, this.#reader.number, this.#reader.digest());
    } else {
      judge.add(line, this.#reader.number);
    }
  }
}

function notAnExport(why: string): NotAnExportError {
  return new NotAnExportError(`This is no export of x3sproxy's audit: ${why}.`);
}

const LINE_FEED = 10;
const TOO_LONG = "it is longer than any line of an export";

/** Splits the bytes of an export into lines, buffering one line, and hashes all lines but the last. */
class ExportReader {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #hash = createHash("sha256");
  #rest: Buffer = Buffer.alloc(0);
  #number = 0;

  /** The number of the line that was read last, or that couldn't be read; from 1. */
  get number(): number {
    return this.#number;
  }

  /** Whether there are bytes after the last line feed. */
  get hasRest(): boolean {
    return this.#rest.length > 0;
  }

  /** The lines that these bytes complete. Throws LineError; after that no more lines can be read. */
  *read(chunk: Uint8Array): Generator<ExportLine> {
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

  /** SHA-256 of all lines so far, except the last line of an export. */
  digest(): Buffer {
    return this.#hash.copy().digest();
  }

  #lineOf(bytes: Buffer): ExportLine {
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
