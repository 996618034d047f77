// The removals in an export: pruned events, and erased parts of events. Must accept a removal only if a later event of the same log
// records it. Keeps only ranges and running hashes, so that its memory is bounded.
import { createHash, type Hash } from "node:crypto";
import type { Finding, Erasure, Pruning } from "./verify-report.ts";

interface Run {
  readonly start: number;
  end: number;
}

/** The parts that an erasure took, whose event has not come yet. */
interface UnrecordedErasure {
  readonly hash: Hash;
  count: number;
  /** The index of the first of its parts whose event is present. */
  firstPresent: number | undefined;
}

// A pruning removes the oldest events, so there should be one run of absent events. Further runs are a sign of tampering; those above
// this number are only counted.
const MAX_RUNS = 1000;
const MAX_ERASURES = 100_000;
const MAX_LISTED = 100;

/** Takes the leaves in order, and the events that verified. */
export class Removals {
  /** The last ones, at most 100; likewise `erasures`. */
  readonly prunings: Pruning[] = [];
  readonly erasures: Erasure[] = [];
  #pruned = 0;
  #runs: Run[] = [];
  // Events that were deleted before they were sealed.
  #neverSealed: number[] = [];
  // Absent events above the limit of these two lists.
  #more = { count: 0, last: -1 };
  readonly #unrecorded = new Map<string, UnrecordedErasure>();

  /** Adds a leaf without its event. `wasSealed`: the event existed when the leaf was sealed. */
  addAbsent(index: number, wasSealed: boolean): void {
    const last = this.#runs.at(-1);
    if (!wasSealed && this.#neverSealed.length < MAX_RUNS) this.#neverSealed.push(index);
    else if (last?.end === index) last.end += 1;
    else if (this.#runs.length < MAX_RUNS) this.#runs.push({ start: index, end: index + 1 });
    else this.#more = { count: this.#more.count + 1, last: index };
  }

  /** Adds an erased part. Returns a problem, if there is one. */
  addErased(index: number, part: string, by: string, isPresent: boolean): string | undefined {
    let erasure = this.#unrecorded.get(by);
    if (erasure === undefined) {
      if (this.#unrecorded.size >= MAX_ERASURES) return "it names one erasure too many";
      erasure = { hash: createHash("sha256"), count: 0, firstPresent: undefined };
      this.#unrecorded.set(by, erasure);
    }
    erasure.hash.update(`${index} ${part}\n`);
    erasure.count += 1;
    if (isPresent) erasure.firstPresent ??= index;
    return undefined;
  }

  /** Adds a verified event `audit.prune`. Returns a problem, if there is one. */
  addPruning(event: Omit<Pruning, "before">, detail: string | null): string | undefined {
    const before = fieldsOf(detail)["before"];
    if (typeof before !== "number" || !Number.isSafeInteger(before) || before < 0) {
      return "the pruning doesn't say what it took";
    }
    if (before > event.index) return "the pruning says that it took what came after it";
    add(this.prunings, { ...event, before });
    const neverSealed = this.#neverSealed.filter((index) => index >= before);
    this.#pruned += this.#neverSealed.length - neverSealed.length;
    this.#neverSealed = neverSealed;
    this.#runs = this.#runs.filter((run) => {
      if (run.start >= before) return true;
      this.#pruned += Math.min(run.end, before) - run.start;
      return run.end > before;
    });
    const [first] = this.#runs;
    if (first !== undefined && first.start < before) {
      this.#runs[0] = { start: before, end: first.end };
    }
    if (this.#more.last < before) {
      this.#pruned += this.#more.count;
      this.#more = { count: 0, last: -1 };
    }
    return undefined;
  }

  /** Adds a verified event `audit.erase`. Returns a problem, if there is one. */
  addErasure(event: Omit<Erasure, "parts">, detail: string | null): Finding | undefined {
    const { parts, list } = fieldsOf(detail);
    const erasure = this.#unrecorded.get(event.id);
    this.#unrecorded.delete(event.id);
    const actual = (erasure?.hash ?? createHash("sha256")).digest("hex");
    const what = "the list of what an erasure took isn't the one that its event tells of";
    if (typeof list !== "string" || typeof parts !== "number") return { what };
    if (list !== actual || parts !== (erasure?.count ?? 0)) return { what, expected: list, actual };
    add(this.erasures, { ...event, parts });
    return undefined;
  }

  /** How many absent events were recorded by a pruning. */
  get pruned(): number {
    return this.#pruned;
  }

  /** At the end: finds removals that no event records. */
  *unaccounted(): Generator<Finding & { readonly count: number }> {
    for (const { start, end } of this.#runs) {
      const count = end - start;
      const events =
        count === 1 ? "the event isn't there" : `${count} events from here aren't there`;
      yield { index: start, count, what: `${events}, and no pruning of this log took them` };
    }
    for (const index of this.#neverSealed) {
      yield { index, count: 1, what: "the event was deleted before it was sealed" };
    }
    const { count, last } = this.#more;
    if (count > 0) {
      const what = `up to here ${count} more events aren't there, and no pruning of this log took them`;
      yield { index: last, count, what };
    }
    for (const [id, { count, firstPresent }] of this.#unrecorded) {
      if (firstPresent === undefined) continue; // the erased events were pruned, so the erasure may be, too
      const what = `${count} parts of events from here are said to be erased by event ${id}, which isn't an erasure of this log that comes after them`;
      yield { index: firstPresent, count: 0, what };
    }
  }
}

function add<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > MAX_LISTED) list.shift();
}

function fieldsOf(detail: string | null): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(detail ?? "null");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
