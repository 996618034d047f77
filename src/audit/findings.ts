// What doesn't hold, as a verification comes upon it: the first of it in full, and of all of it the number.

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
