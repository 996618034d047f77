// Checkpoints that were kept outside of the database: reads them from a file, and compares a log with them. The file has signed notes one
// after the other, or lines of a syslog server, each with a note in JSON at its end. Must report every checkpoint that can't be used.
import type { Finding } from "./verify-report.ts";
import { openCheckpoint, readCheckpoint, type Checkpoint } from "./note.ts";
import { reasonOf } from "./signed-lines.ts";

export interface KeptCheckpoints {
  readonly checkpoints: readonly GivenCheckpoint[];
  /** Lines that are neither empty nor of a checkpoint. */
  readonly otherLines: number;
}

const BEGINNING = /^x3sproxy\/audit\/[0-9a-f-]{36}$/;
// At least as long as an Ed25519 signature; a shorter one was cut off.
const SIGNATURE = /^— \S+ \S{92,}$/;
// Lines before the signature. The service writes four.
const MAX_LINES = 100;
const IN_JSON = /\{"note":"(?:[^"\\]|\\.)*"\}$/;

// Longer than any line of a checkpoint, and than any that syslog accepts.
const MAX_LINE_BYTES = 64 * 1024;
const TOO_LONG = "(too long)";
const LINE_FEED = 10;

/** Finds the checkpoints in a file. `lines`: without line ends. `name`: names the file in messages. */
export async function readKeptCheckpoints(
  lines: AsyncIterable<string>,
  name: string,
): Promise<KeptCheckpoints> {
  const found = new Map<string, GivenCheckpoint>();
  let otherLines = 0;
  let number = 0;
  let note: { lines: string[]; from: number; isSigned: boolean } | undefined;
  const add = (text: string, line: number): void => {
    if (!found.has(text)) found.set(text, { where: `${name}, line ${line}`, note: text });
  };
  const close = (): void => {
    if (note?.isSigned === true) add(`${note.lines.join("\n")}\n`, note.from);
    else otherLines += note?.lines.filter((line) => line !== "").length ?? 0;
    note = undefined;
  };
  for await (const line of lines) {
    number += 1;
    if (note?.isSigned === true && !SIGNATURE.test(line)) close();
    const inJson = noteInJson(line);
    // A note that was cut off, for example by a full disk, ends where the next one begins.
    if (inJson !== undefined || BEGINNING.test(line)) close();
    if (inJson !== undefined) add(inJson, number);
    else if (BEGINNING.test(line)) note = { lines: [line], from: number, isSigned: false };
    else if (note === undefined) otherLines += line.trim() === "" ? 0 : 1;
    else {
      note.lines.push(line);
      note.isSigned ||= SIGNATURE.test(line);
      if (!note.isSigned && note.lines.length > MAX_LINES) close();
    }
  }
  close();
  return { checkpoints: [...found.values()], otherLines };
}

/** The lines of a file, without line ends. Replaces a line that is too long by a text that is no checkpoint. */
export async function* keptLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  const add = (piece: Uint8Array): void => {
    if (piece.length > 0 && bytes <= MAX_LINE_BYTES) pieces.push(piece);
    bytes += piece.length;
  };
  const take = (): string => {
    const text = bytes > MAX_LINE_BYTES ? TOO_LONG : Buffer.concat(pieces).toString("utf8");
    pieces = [];
    bytes = 0;
    return text.endsWith("\r") ? text.slice(0, -1) : text;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end; (end = chunk.indexOf(LINE_FEED, from)) >= 0; from = end + 1) {
      add(chunk.subarray(from, end));
      yield take();
    }
    add(chunk.subarray(from));
  }
  if (bytes > 0) yield take();
}

function noteInJson(line: string): string | undefined {
  const text = IN_JSON.exec(line.trimEnd())?.[0];
  if (text === undefined) return undefined;
  try {
    return (JSON.parse(text) as { note: string }).note;
  } catch {
    return undefined;
  }
}

/** A checkpoint that was kept elsewhere. `where`: its file and line, for messages. */
export interface GivenCheckpoint {
  readonly where: string;
  readonly note: string;
}

interface Given extends Pick<Checkpoint, "size" | "root"> {
  readonly where: string;
}

/** Compares a growing log with kept checkpoints, each when the log has its size. */
export class CheckpointComparison {
  // The smallest first. There may be very many.
  readonly #given: Given[] = [];
  // How many of them were compared.
  #compared = 0;
  #agreeing = 0;

  /** How many checkpoints agree with the tree. */
  get agreeing(): number {
    return this.#agreeing;
  }

  /** Takes the checkpoints of this log, and finds those that can't be used. */
  *take(given: readonly GivenCheckpoint[], origin: string, verifier: string): Generator<Finding> {
    for (const { where, note } of given) {
      try {
        if (readCheckpoint(note).origin !== origin) continue; // of another workspace's log
        const { size, root } = openCheckpoint(note, verifier);
        this.#given.push({ size, root, where });
      } catch (error) {
        yield { what: `the checkpoint kept in ${where} can't be used: ${reasonOf(error)}` };
      }
    }
    this.#given.sort((a, b) => a.size - b.size);
    if (this.#given.length === 0 && given.length > 0) {
      yield { what: "none of the checkpoints that were given is one of this log" };
    }
  }

  /** Compares the tree of `size` leaves with the checkpoints of this size. Call it with increasing sizes. */
  *compare(size: number, rootOf: () => Buffer): Generator<Finding> {
    for (;;) {
      const next = this.#given[this.#compared];
      if (next?.size !== size) return;
      this.#compared += 1;
      yield* this.#judge(next, rootOf());
    }
  }

  /** At the end of a whole log: finds checkpoints that are larger than the log. */
  *leftOfWhole(size: number): Generator<Finding> {
    for (const given of this.#given.slice(this.#compared)) {
      yield {
        what: `the checkpoint kept in ${given.where} is of ${given.size} leaves, and there are only ${size}: the log's end is gone (cut off, or rolled back)`,
      };
    }
  }

  /** At the end of an export with filters: compares the only tree known, the signed one. */
  *leftOfFiltered(signed: Checkpoint | undefined): Generator<Finding> {
    for (const given of this.#given) {
      if (signed?.size === given.size) yield* this.#judge(given, signed.root);
      else {
        yield {
          what: `an export with filters can't be compared with the checkpoint kept in ${given.where}, which is of another size: export all of the log`,
        };
      }
    }
  }

  *#judge({ size, root, where }: Given, actual: Buffer): Generator<Finding> {
    if (root.equals(actual)) {
      this.#agreeing += 1;
      return;
    }
    const what = `the log doesn't begin with the tree of the checkpoint kept in ${where} (${size} leaves): it was rewritten, or there are two of it`;
    yield { what, expected: root.toString("base64"), actual: actual.toString("base64") };
  }
}
