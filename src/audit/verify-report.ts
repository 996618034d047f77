// The report on the verification of an export.
import type { ExportFilters } from "./export-lines.ts";

/** A pruning that the log records. */
export interface Pruning {
  readonly index: number;
  readonly id: string;
  readonly at: string;
  /** It removed all events before this index. */
  readonly before: number;
}

/** An erasure that the log records. */
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
  /** The key that verified it. */
  readonly verifierKey: string;
  readonly keyPinned: boolean;
  readonly exportedAt: string;
  readonly filters: ExportFilters;
  /** The number of leaves of the signed tree; null: no checkpoint verified. */
  readonly size: number | null;
  /** Base64. */
  readonly root: string | null;
  /** The number of events present. */
  readonly events: number;
  /** The number of events that a recorded pruning removed. */
  readonly pruned: number;
  /** The number of erased parts of events. */
  readonly erased: number;
  /** The times of the earliest and the latest event present. */
  readonly from: string | null;
  readonly to: string | null;
  /** The last ones, at most 100; likewise `erasures`. */
  readonly prunings: readonly Pruning[];
  readonly erasures: readonly Erasure[];
  /** How many checkpoints kept elsewhere agree with the tree. */
  readonly checkpoints: number;
  /** The first ones, at most 100. */
  readonly findings: readonly Finding[];
  readonly findingsInAll: number;
  readonly warnings: readonly string[];
}

/** What even an export without findings does not prove. */
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

/** Something that does not verify. */
export interface Finding {
  /** The index of the leaf concerned. */
  readonly index?: number | undefined;
  /** The line of the file, from 1. */
  readonly line?: number | undefined;
  readonly what: string;
  /** The two hashes, where some were compared. */
  readonly expected?: string | undefined;
  readonly actual?: string | undefined;
}

const MAX_LISTED = 100;

export class Findings {
  /** The first ones, at most 100. */
  readonly listed: Finding[] = [];
  #inAll = 0;

  get inAll(): number {
    return this.#inAll;
  }

  /** `count`: how many findings it stands for. */
  add(finding: Finding, count = 1): void {
    this.#inAll += count;
    if (this.listed.length < MAX_LISTED) this.listed.push(finding);
  }
}
