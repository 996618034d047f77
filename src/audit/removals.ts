// The removals in an export: pruned events, and erased parts of events. A removal is in order only if a later event of the same log records
// it. Keeps ranges and running hashes only.
import { createHash, type Hash } from "node:crypto";
import type { Finding, Erasure, Pruning } from "./verify-report.ts";

interface Run {
  readonly start: number;
  end: number;
}

interface OpenErasure {
  readonly hash: Hash;
  count: number;
  /** The first of its parts whose event is there. */
  firstPresent: number | undefined;
}

// Prunings take what is oldest, so that there is one run; more are a sign of something else, and are only counted.
const MAX_RUNS = 1000;
const MAX_ERASURES = 100_000;
const MAX_LISTED = 100;

/** Told of the leaves in their order, and of those events among them that hold. */
export class Removals {
  /** The last ones. */
  readonly prunings: Pruning[] = [];
  readonly erasures: Erasure[] = [];
  #pruned = 0;
  #runs: Run[] = [];
  // Events that were gone before they were sealed.
  #neverSealed: number[] = [];
  // What found no room in these two.
  #more = { count: 0, last: -1 };
  readonly #open = new Map<string, OpenErasure>();

  /** A leaf whose event isn't there; `wasSealed`: it was, when it was sealed. */
  addAbsent(index: number, wasSealed: boolean): void {
    const last = this.#runs.at(-1);
    if (!wasSealed && this.#neverSealed.length < MAX_RUNS) this.#neverSealed.push(index);
    else if (last?.end === index) last.end += 1;
    else if (this.#runs.length < MAX_RUNS) this.#runs.push({ start: index, end: index + 1 });
    else this.#more = { count: this.#more.count + 1, last: index };
  }

  /** An entry of an erasure's list. Undefined, or why that can't be. */
  addErased(index: number, part: string, by: string, isPresent: boolean): string | undefined {
    let open = this.#open.get(by);
    if (open === undefined) {
      if (this.#open.size >= MAX_ERASURES) return "it names one erasure too many";
      open = { hash: createHash("sha256"), count: 0, firstPresent: undefined };
      this.#open.set(by, open);
    }
    open.hash.update(`${index} ${part}\n`);
    open.count += 1;
    if (isPresent) open.firstPresent ??= index;
    return undefined;
  }

  /** An event `audit.prune` that holds. Undefined, or what is wrong with it. */
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

  /** An event `audit.erase` that holds. Undefined, or what is wrong with it. */
  addErasure(event: Omit<Erasure, "parts">, detail: string | null): Finding | undefined {
    const { parts, list } = fieldsOf(detail);
    const open = this.#open.get(event.id);
    this.#open.delete(event.id);
    const actual = (open?.hash ?? createHash("sha256")).digest("hex");
    const what = "the list of what an erasure took isn't the one that its event tells of";
    if (typeof list !== "string" || typeof parts !== "number") return { what };
    if (list !== actual || parts !== (open?.count ?? 0)) return { what, expected: list, actual };
    add(this.erasures, { ...event, parts });
    return undefined;
  }

  /** How many absent events a pruning accounts for. */
  get pruned(): number {
    return this.#pruned;
  }

  /** What nothing has accounted for, once all leaves are known. */
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
    for (const [id, { count, firstPresent }] of this.#open) {
      if (firstPresent === undefined) continue; // events and erasure alike are pruned
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
