// Checks the lines of an export in order: whether the leaves are those of the signed tree, and whether every removal is recorded. Must
// keep only what it needs at the end, so that its memory is bounded.
import { Removals } from "./removals.ts";
import { CheckpointComparison, type GivenCheckpoint } from "./kept-checkpoints.ts";
import {
  LineError,
  type CheckpointLine,
  type DamageLine,
  type EventLine,
  type HeaderLine,
  type PrunedLine,
} from "./export-lines.ts";
import { Findings, type Finding, warningsOf, type VerifyReport } from "./verify-report.ts";
import { actorCommitment, leafData, missingLeafData, targetCommitment } from "./leaf.ts";
import { GrowingTree, leafHash, provesInclusion } from "./merkle.ts";
import { originOfLog, type Checkpoint } from "./note.ts";
import {
  checkClosing,
  checkHead,
  checkHeader,
  openHead,
  reasonOf,
  saysMore,
} from "./signed-lines.ts";

export class ExportJudge {
  readonly #header: HeaderLine;
  readonly #key: string;
  readonly #keyPinned: boolean;
  readonly #isFiltered: boolean;
  readonly #tree = new GrowingTree();
  readonly #removals = new Removals();
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

  /** How many leaves have been checked. */
  get leaves(): number {
    return this.#next;
  }

  /** Whether the last line has come. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  find(finding: Finding, count = 1): void {
    this.#findings.add(finding, count);
  }

  /** Checks a line between the first and the last. `number`: its number. Throws LineError for a line in the wrong place. */
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

  /** Checks the last line. `number`: its number; `hash`: SHA-256 of the lines before it. */
  finish(note: string, number: number, hash: Buffer): void {
    this.#hasEnded = true;
    if (!this.#hasHead) this.find({ line: number, what: "the export has no checkpoint" });
    const about = { lines: number - 1, hash };
    this.#findAll(checkClosing(note, this.#key, this.#header.workspace, about), number);
  }

  /** Finds what is only known at the end. */
  close(): void {
    for (const { index, what, count } of this.#removals.unaccounted()) {
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
      pruned: this.#removals.pruned,
      erased: this.#erased,
      from: this.#from,
      to: this.#to,
      prunings: this.#removals.prunings,
      erasures: this.#removals.erasures,
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
    this.#removals.addAbsent(index, kept !== neverSealed);
    this.#addErased(index, erased, false);
  }

  #addErased(index: number, erased: EventLine["erased"], isPresent: boolean): void {
    for (const { part, by } of erased) {
      if (isPresent) this.#erased += 1;
      if (this.#isFiltered) continue;
      const problem = this.#removals.addErased(index, part, by, isPresent);
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
    else this.#addRemoval({ index, id, at: event.at }, event);
  }

  /** Takes the removal that a verified event records, if it records one. */
  #addRemoval(
    by: { readonly index: number; readonly id: string; readonly at: string },
    { action, detail }: EventLine["event"],
  ): void {
    const { index } = by;
    if (action === "audit.prune") {
      const what = this.#removals.addPruning(by, detail);
      if (what !== undefined) this.find({ index, what });
    } else if (action === "audit.erase") {
      const finding = this.#removals.addErasure(by, detail);
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

  /** Adds all findings. `line`: the line concerned. */
  #findAll(findings: Iterable<Finding | undefined>, line?: number): void {
    for (const finding of findings) {
      if (finding !== undefined) this.find(line === undefined ? finding : { line, ...finding });
    }
  }
}

/** Compares the actor and the target of an event with their commitments. */
function* checkParts({ index, actor, target, erased }: EventLine): Generator<Finding> {
  const parts = {
    actor: {
      ...actor,
      isEmpty: actor.id === null && actor.name === "" && actor.address === null,
      commit: (salt: string) => actorCommitment({ ...actor, salt }),
    },
    target: {
      ...target,
      isEmpty: target.id === "" && target.name === "",
      commit: (salt: string) => targetCommitment({ ...target, salt }),
    },
  };
  for (const [name, { salt, isEmpty, commitment, commit }] of Object.entries(parts)) {
    const isListed = erased.some((each) => each.part === name);
    if (salt === null) {
      if (!isEmpty) yield { index, what: `the event's ${name} has lost its salt` };
      else if (!isListed) {
        yield { index, what: `the event's ${name} was taken away, and no erasure took it` };
      }
      continue;
    }
    if (isListed) yield { index, what: `the event's ${name} is erased, and still there` };
    const actual = commit(salt);
    if (actual !== commitment) {
      const what = `the event's ${name} isn't the one that was sealed: it was edited`;
      yield { index, what, expected: commitment, actual };
    }
  }
}

/** Compares an event with its leaf; undefined: they agree. */
function checkLeaf(line: EventLine, workspaceId: string): Finding | undefined {
  const { index, id, event } = line;
  const commitments = { actor: line.actor.commitment, target: line.target.commitment };
  const data = leafData({ ...event, id, workspaceId }, commitments);
  const actual = leafHash(data).toString("hex");
  if (actual === line.leafHash) return undefined;
  const what = "the event isn't the one that was sealed: it, or its leaf, was edited";
  return { index, what, expected: line.leafHash, actual };
}

/** Verifies the proof that an event's leaf is in the tree of a checkpoint; undefined: it is. */
function checkProof(
  { index, leafHash: leaf, proof = [] }: EventLine,
  checkpoint: Checkpoint | undefined,
): Finding | undefined {
  const holds =
    checkpoint !== undefined &&
    provesInclusion({
      ...{ index, size: checkpoint.size, root: checkpoint.root, leaf: Buffer.from(leaf, "hex") },
      proof: proof.map((hash) => Buffer.from(hash, "base64")),
    });
  if (holds) return undefined;
  return { index, what: "the event's proof doesn't hold: it isn't in the signed tree" };
}
