// Compares a log, as it grows line by line, with checkpoints of it that were kept elsewhere: each at its own size.
import type { Finding } from "./findings.ts";
import { openCheckpoint, readCheckpoint, type Checkpoint } from "./note.ts";
import { reasonOf } from "./signed-lines.ts";

/** A checkpoint that was kept elsewhere, and where that was, in words. */
export interface GivenCheckpoint {
  readonly where: string;
  readonly note: string;
}

interface Given extends Pick<Checkpoint, "size" | "root"> {
  readonly where: string;
}

export class CheckpointComparison {
  // The smallest first; they may be those of years.
  readonly #given: Given[] = [];
  // How many of them the tree was compared with.
  #compared = 0;
  #agreeing = 0;

  /** With how many the tree agrees. */
  get agreeing(): number {
    return this.#agreeing;
  }

  /** Takes those that are of this log; gives what is wrong with them. */
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

  /** Compares the tree, as it is with `size` leaves, with those of this size. Sizes come in their order. */
  *compare(size: number, rootOf: () => Buffer): Generator<Finding> {
    for (;;) {
      const next = this.#given[this.#compared];
      if (next?.size !== size) return;
      this.#compared += 1;
      yield* this.#judge(next, rootOf());
    }
  }

  /** Those of no size that the whole log has had. */
  *leftOfWhole(size: number): Generator<Finding> {
    for (const given of this.#given.slice(this.#compared)) {
      yield {
        what: `the checkpoint kept in ${given.where} is of ${given.size} leaves, and there are only ${size}: the log's end is gone (cut off, or rolled back)`,
      };
    }
  }

  /** Of an export with filters there is one tree alone: the one that was signed. */
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
