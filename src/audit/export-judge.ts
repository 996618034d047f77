// Judges the lines of an export in their order: whether the leaves make up the tree that was signed, and whether all that isn't there is
// accounted for. Keeps of them what it needs at the end, and no more.
import { Absences } from "./absences.ts";
import { CheckpointComparison, type GivenCheckpoint } from "./checkpoint-comparison.ts";
import { checkLeaf, checkParts, checkProof } from "./event-check.ts";
import {
  LineError,
  type DamageLine,
  type CheckpointLine,
  type EventLine,
  type HeaderLine,
  type PrunedLine,
} from "./export-lines.ts";
import { Findings, type Finding } from "./findings.ts";
import { missingLeafData } from "./leaf.ts";
import { GrowingTree, leafHash } from "./merkle.ts";
import { originOfLog, type Checkpoint } from "./note.ts";
import {
  checkClosing,
  checkHead,
  checkHeader,
  openHead,
  reasonOf,
  saysMore,
} from "./signed-lines.ts";
import { warningsOf, type VerifyReport } from "./verify-report.ts";

export class ExportJudge {
  readonly #header: HeaderLine;
  readonly #key: string;
  readonly #keyPinned: boolean;
  readonly #isFiltered: boolean;
  readonly #tree = new GrowingTree();
  readonly #absences = new Absences();
  readonly #kept = new CheckpointComparison();
  readonly #findings = new Findings();
  #checkpoint: Checkpoint | undefined;
  #hasHead = false;
  #hasEnded = false;
  #next = 0;
  #events = 0;
  #erased = 0;
  #from: string | null = null;
  #to: string | null = null;

  constructor(
    header: HeaderLine,
    o: {
      readonly key?: string | undefined;
      readonly checkpoints?: readonly GivenCheckpoint[] | undefined;
    },
  ) {
    this.#header = header;
    this.#key = o.key?.trim() ?? header.verifierKey;
    this.#keyPinned = o.key !== undefined;
    this.#isFiltered = Object.values(header.filters).some((value) => value !== undefined);
    this.#findAll(checkHeader(header, this.#key));
    this.#findAll(this.#kept.take(o.checkpoints ?? [], originOfLog(header.workspace), this.#key));
    this.#compareRoots();
  }

  /** How many leaves have been looked at. */
  get leaves(): number {
    return this.#next;
  }

  /** Whether the last line was there. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  find(finding: Finding, count = 1): void {
    this.#findings.add(finding, count);
  }

  /** `number`: of the line. Throws LineError for one that can't stand here. */
  add(line: EventLine | PrunedLine | DamageLine | CheckpointLine, number: number): void {
    if (this.#hasHead && !this.#isFiltered) throw new LineError("it comes after the checkpoint");
    switch (line.type) {
      case "checkpoint":
        this.#open(line.note, number);
        return;
      case "damage":
        this.find({ line: number, what: `the service found: ${line.what}` });
        return;
      case "event":
      case "pruned":
        if (this.#isFiltered && this.#checkpoint === undefined) {
          throw new LineError("the checkpoint has to come before it");
        }
        if (this.#isFiltered && line.type === "pruned") {
          throw new LineError("an export with filters has no such line");
        }
        this.#addLeaf(line, number);
    }
  }

  /** The last line. `number`: of it; `hash`: SHA-256 of the lines before it. */
  finish(note: string, number: number, hash: Buffer): void {
    this.#hasEnded = true;
    if (!this.#hasHead) this.find({ line: number, what: "the export has no checkpoint" });
    const about = { lines: number - 1, hash };
    this.#findAll(checkClosing(note, this.#key, this.#header.workspace, about), number);
  }

  /** Finds what can only be known once there is no more. */
  close(): void {
    for (const { index, what, count } of this.#absences.unaccounted()) {
      this.find({ index, what }, Math.max(count, 1));
    }
    this.#findAll(
      this.#isFiltered
        ? this.#kept.leftOfFiltered(this.#checkpoint)
        : this.#kept.leftOfWhole(this.#tree.size),
    );
  }

  report(): VerifyReport {
    const { workspace, origin, filters, at: exportedAt } = this.#header;
    const keyPinned = this.#keyPinned;
    return {
      verified: this.#findings.inAll === 0,
      ...{ workspace, origin, verifierKey: this.#key, keyPinned, exportedAt, filters },
      size: this.#checkpoint?.size ?? null,
      root: this.#checkpoint?.root.toString("base64") ?? null,
      events: this.#events,
      pruned: this.#absences.pruned,
      erased: this.#erased,
      from: this.#from,
      to: this.#to,
      prunings: this.#absences.prunings,
      erasures: this.#absences.erasures,
      checkpoints: this.#kept.agreeing,
      findings: this.#findings.listed,
      findingsInAll: this.#findings.inAll,
      warnings: warningsOf({ keyPinned, isFiltered: this.#isFiltered }),
    };
  }

  #addLeaf(line: EventLine | PrunedLine, number: number): void {
    const { index } = line;
    const isInPlace = this.#isFiltered ? index >= this.#next : index === this.#next;
    if (!isInPlace) {
      const what =
        index < this.#next
          ? "the leaf comes twice, or too late"
          : `the leaves from ${this.#next} until before ${index} aren't there`;
      this.find({ index, line: number, what });
    }
    this.#next = Math.max(this.#next, index) + 1;
    if (line.type === "event") this.#addEvent(line);
    else this.#addAbsent(line);
    if (this.#isFiltered) return;
    this.#tree.append(Buffer.from(line.leafHash, "hex"));
    this.#compareRoots();
  }

  #addAbsent({ index, id, erased, leafHash: kept }: PrunedLine): void {
    const neverSealed = leafHash(missingLeafData(this.#header.workspace, id)).toString("hex");
    this.#absences.addAbsent(index, kept !== neverSealed);
    this.#addErased(index, erased, false);
  }

  #addErased(index: number, erased: EventLine["erased"], isPresent: boolean): void {
    for (const { part, by } of erased) {
      if (isPresent) this.#erased += 1;
      if (this.#isFiltered) continue;
      const problem = this.#absences.addErased(index, part, by, isPresent);
      if (problem !== undefined) throw new LineError(problem);
    }
  }

  #addEvent(line: EventLine): void {
    const { index, event, id } = line;
    this.#events += 1;
    this.#from = this.#from === null || event.at < this.#from ? event.at : this.#from;
    this.#to = this.#to === null || event.at > this.#to ? event.at : this.#to;
    this.#addErased(index, line.erased, true);
    this.#findAll(checkParts(line));
    const problem = checkLeaf(line, this.#header.workspace);
    if (problem !== undefined) this.find(problem);
    else if (this.#isFiltered) this.#findAll([checkProof(line, this.#checkpoint)]);
    else this.#account({ index, id, at: event.at }, event);
  }

  /** Of an event that holds: what it says that it took. */
  #account(
    told: { readonly index: number; readonly id: string; readonly at: string },
    { action, detail }: EventLine["event"],
  ): void {
    const { index } = told;
    if (action === "audit.prune") {
      const what = this.#absences.addPruning(told, detail);
      if (what !== undefined) this.find({ index, what });
    } else if (action === "audit.erase") {
      const finding = this.#absences.addErasure(told, detail);
      if (finding !== undefined) this.find({ index, ...finding });
    }
  }

  #open(note: string, number: number): void {
    if (this.#hasHead || (this.#isFiltered && this.#next > 0)) {
      throw new LineError("there is more than one checkpoint, or it isn't in its place");
    }
    this.#hasHead = true;
    try {
      this.#checkpoint = openHead(note, this.#key, this.#header.workspace);
    } catch (error) {
      this.find({ line: number, what: reasonOf(error) });
      return;
    }
    if (saysMore(note)) {
      this.find({ line: number, what: "the checkpoint's note says more than was signed" });
    }
    if (!this.#isFiltered) this.#findAll([checkHead(this.#checkpoint, this.#tree)], number);
  }

  #compareRoots(): void {
    if (this.#isFiltered) return;
    this.#findAll(this.#kept.compare(this.#tree.size, () => this.#tree.root()));
  }

  /** `line`: which they are about. */
  #findAll(findings: Iterable<Finding | undefined>, line?: number): void {
    for (const finding of findings) {
      if (finding !== undefined) this.find(line === undefined ? finding : { line, ...finding });
    }
  }
}
