// What a verification of an export finds, and what people are told of it.
import type { ExportFilters } from "./export-lines.ts";

/** A pruning that the log tells of. */
export interface Pruning {
  readonly index: number;
  readonly id: string;
  readonly at: string;
  /** All events before this index. */
  readonly before: number;
}

/** An erasure that the log tells of. */
export interface Erasure {
  readonly index: number;
  readonly id: string;
  readonly at: string;
  readonly parts: number;
}

export interface VerifyReport {
  readonly verified: boolean;
  readonly workspace: string;
  readonly origin: string;
  /** By which it was verified. */
  readonly verifierKey: string;
  readonly keyPinned: boolean;
  readonly exportedAt: string;
  readonly filters: ExportFilters;
  /** Of the tree, in leaves; null where no checkpoint held. */
  readonly size: number | null;
  /** Base64. */
  readonly root: string | null;
  /** Events that are there. */
  readonly events: number;
  /** Events that were pruned, as an event that is there says. */
  readonly pruned: number;
  /** Parts of events that were erased. */
  readonly erased: number;
  /** The times of the first and the last event that are there. */
  readonly from: string | null;
  readonly to: string | null;
  /** The last ones. */
  readonly prunings: readonly Pruning[];
  readonly erasures: readonly Erasure[];
  /** Checkpoints kept elsewhere with which the tree agrees. */
  readonly checkpoints: number;
  /** The first ones. */
  readonly findings: readonly Finding[];
  readonly findingsInAll: number;
  readonly warnings: readonly string[];
}

/** What even an export in which all holds doesn't prove. */
export function warningsOf(o: {
  readonly keyPinned: boolean;
  readonly isFiltered: boolean;
}): string[] {
  const warnings: string[] = [];
  if (!o.keyPinned) {
    warnings.push(
      "No key was given, so the export's own was taken: whoever forges a whole log signs it with a key of theirs. Give the key that you keep (--key).",
    );
  }
  if (o.isFiltered) {
    warnings.push(
      "The export has filters: each of its events is proved, and nothing is said of those that aren't in it, nor of who erased what.",
    );
  }
  return warnings;
}

/** Something that doesn't hold. */
export interface Finding {
  /** The leaf that it is about. */
  readonly index?: number | undefined;
  /** The line of the file, from 1. */
  readonly line?: number | undefined;
  readonly what: string;
  /** Hashes, where two were compared. */
  readonly expected?: string | undefined;
  readonly actual?: string | undefined;
}

const MAX_LISTED = 100;

export class Findings {
  /** The first ones. */
  readonly listed: Finding[] = [];
  #inAll = 0;

  get inAll(): number {
    return this.#inAll;
  }

  /** `count`: for how many it stands. */
  add(finding: Finding, count = 1): void {
    this.#inAll += count;
    if (this.listed.length < MAX_LISTED) this.listed.push(finding);
  }
}
