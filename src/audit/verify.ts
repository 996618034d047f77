// Verifies an export offline: line by line, in memory that doesn't grow with it. Asks no network, no database and no clock; what it
// goes by is the export, a key, and checkpoints that were kept elsewhere. Must never pass what it doesn't understand.
import { createHash } from "node:crypto";
import { Absences, type Erasure, type Finding, type Pruning } from "./absences.ts";
import {
  EXPORT_TYPE,
  LineError,
  MAX_LINE_BYTES,
  readLine,
  type EventLine,
  type ExportFilters,
  type HeaderLine,
  type Line,
  type PrunedLine,
} from "./export-lines.ts";
import { actorCommitment, leafData, missingLeafData, targetCommitment } from "./leaf.ts";
import { GrowingTree, leafHash, provesInclusion } from "./merkle.ts";
import {
  NoteError,
  openCheckpoint,
  originOfExports,
  originOfLog,
  readCheckpoint,
  renameVerifier,
  type Checkpoint,
} from "./note.ts";

/** A checkpoint that was kept elsewhere, and where that was, in words. */
export interface GivenCheckpoint {
  readonly where: string;
  readonly note: string;
}

export interface VerifyOptions {
  /** The verifier key that whoever verifies has kept; without it the export's own is taken. */
  readonly key?: string | undefined;
  readonly checkpoints?: readonly GivenCheckpoint[] | undefined;
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

/** The input is no export at all. */
export class NotAnExportError extends Error {
  override name = "NotAnExportError";
}

const MAX_FINDINGS = 100;
const LINE_FEED = 10;

interface Compared {
  readonly size: number;
  readonly root: Buffer;
  readonly where: string;
}

/** Takes an export piece by piece. */
export class ExportVerifier {
  readonly #o: VerifyOptions;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #hash = createHash("sha256");
  readonly #tree = new GrowingTree();
  readonly #absences = new Absences();
  readonly #findings: Finding[] = [];
  #findingsInAll = 0;
  #rest: Buffer = Buffer.alloc(0);
  #lines = 0;
  #stopped = false;
  #header: HeaderLine | undefined;
  #key = "";
  #checkpoint: Checkpoint | undefined;
  #isClosed = false;
  #hasEnded = false;
  #next = 0;
  #events = 0;
  #erased = 0;
  #from: string | null = null;
  #to: string | null = null;
  // Those kept elsewhere with which the tree is still to be compared, the smallest first.
  #given: Compared[] = [];
  #agreeing = 0;

  constructor(options: VerifyOptions = {}) {
    this.#o = options;
  }

  /** How many leaves have been looked at. */
  get leaves(): number {
    return this.#next;
  }

  /** Takes the next bytes; false: what comes need not be read any more. Throws NotAnExportError. */
  push(chunk: Uint8Array): boolean {
    let data = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    while (!this.#stopped) {
      const end = data.indexOf(LINE_FEED);
      if (end < 0) break;
      this.#take(data.subarray(0, end + 1));
      data = data.subarray(end + 1);
    }
    if (!this.#stopped && data.length > MAX_LINE_BYTES) {
      this.#refuse(this.#lines + 1, "it is longer than any line of an export");
    }
    this.#rest = Buffer.from(data);
    return !this.#stopped;
  }

  /** There is no more. Throws NotAnExportError. */
  end(): VerifyReport {
    if (this.#header === undefined) throw notAnExport("it is empty, or has no whole first line");
    if (!this.#stopped && (!this.#hasEnded || this.#rest.length > 0)) {
      const what = this.#hasEnded
        ? "something follows the export's last line"
        : "the export is cut off: it has no last line";
      this.#find({ line: this.#lines + 1, what });
    }
    if (!this.#stopped) {
      this.#accountForAbsences();
      this.#compareGiven();
    }
    return this.#report(this.#header);
  }

  #take(bytes: Buffer): void {
    this.#lines += 1;
    if (bytes.length - 1 > MAX_LINE_BYTES) {
      this.#refuse(this.#lines, "it is longer than any line of an export");
      return;
    }
    let line: Line;
    try {
      line = readLine(this.#decoder.decode(bytes.subarray(0, -1)));
    } catch (error) {
      this.#refuse(this.#lines, error instanceof LineError ? error.message : "it isn't UTF-8");
      return;
    }
    if (line.type !== "end" && !this.#hasEnded) this.#hash.update(bytes);
    if (this.#header === undefined) {
      if (line.type !== EXPORT_TYPE) throw notAnExport("its first line is another one's");
      this.#begin(line);
    } else if (this.#hasEnded) {
      this.#refuse(this.#lines, "it comes after the export's last line");
    } else if (line.type === EXPORT_TYPE) {
      this.#refuse(this.#lines, "another export begins in the middle of this one");
    } else {
      this.#add(line);
    }
  }

  #begin(header: HeaderLine): void {
    this.#header = header;
    const origin = originOfLog(header.workspace);
    this.#key = this.#o.key?.trim() ?? header.verifierKey;
    if (header.origin !== origin) {
      this.#find({ line: 1, what: "the export's origin isn't that of its workspace" });
    }
    if (header.verifierKey !== this.#key) {
      const what = "the export names another key than the one that was given: it is of another log";
      this.#find({ line: 1, what, expected: this.#key, actual: header.verifierKey });
    }
    try {
      if (renameVerifier(header.verifierKey, origin) !== header.verifierKey) {
        this.#find({ line: 1, what: "the export's key has another name than its log" });
      }
    } catch {
      this.#find({ line: 1, what: "the export's key is malformed" });
    }
    this.#openGiven(origin);
  }

  #openGiven(origin: string): void {
    for (const { where, note } of this.#o.checkpoints ?? []) {
      try {
        if (readCheckpoint(note).origin !== origin) continue; // of another workspace's log
        const { size, root } = openCheckpoint(note, this.#key);
        this.#given.push({ size, root, where });
      } catch (error) {
        this.#find({ what: `the checkpoint kept in ${where} can't be used: ${reasonOf(error)}` });
      }
    }
    this.#given.sort((a, b) => a.size - b.size);
    if (this.#given.length === 0 && (this.#o.checkpoints?.length ?? 0) > 0) {
      this.#find({ what: "none of the checkpoints that were given is one of this log" });
    }
    this.#compareRoots();
  }

  #add(line: Exclude<Line, HeaderLine>): void {
    if (line.type === "end") {
      this.#finish(line.note);
      return;
    }
    if (this.#isClosed) {
      this.#refuse(this.#lines, "it comes after the checkpoint");
      return;
    }
    switch (line.type) {
      case "checkpoint":
        this.#open(line.note);
        return;
      case "damage":
        this.#find({ line: this.#lines, what: `the service found: ${line.what}` });
        return;
      case "event":
      case "pruned":
        if (this.#isFiltered && this.#checkpoint === undefined) {
          this.#refuse(this.#lines, "the checkpoint has to come before it");
        } else if (line.type === "pruned" && this.#isFiltered) {
          this.#refuse(this.#lines, "an export with filters has no such line");
        } else {
          this.#addLeaf(line);
        }
    }
  }

  get #isFiltered(): boolean {
    return Object.values(this.#header?.filters ?? {}).some((value) => value !== undefined);
  }

  #addLeaf(line: EventLine | PrunedLine): void {
    const { index } = line;
    const isInPlace = this.#isFiltered ? index >= this.#next : index === this.#next;
    if (!isInPlace) {
      const what =
        index < this.#next
          ? "the leaf comes twice, or too late"
          : `the leaves from ${this.#next} until before ${index} aren't there`;
      this.#find({ index, line: this.#lines, what });
    }
    this.#next = Math.max(this.#next, index) + 1;
    if (line.type === "event") this.#addEvent(line);
    else this.#addAbsent(line);
    if (this.#isFiltered) return;
    this.#tree.append(Buffer.from(line.leafHash, "hex"));
    this.#compareRoots();
  }

  #addAbsent({ index, id, erased, leafHash: kept }: PrunedLine): void {
    const workspace = this.#header?.workspace ?? "";
    const neverSealed = leafHash(missingLeafData(workspace, id)).toString("hex");
    this.#absences.addAbsent(index, kept !== neverSealed);
    this.#addErased(index, erased, false);
  }

  #addErased(index: number, erased: EventLine["erased"], isPresent: boolean): void {
    for (const { part, by } of erased) {
      if (isPresent) this.#erased += 1;
      if (this.#isFiltered) continue;
      const problem = this.#absences.addErased(index, part, by, isPresent);
      if (problem !== undefined) this.#refuse(this.#lines, problem);
    }
  }

  #addEvent(line: EventLine): void {
    const { index, event, id } = line;
    this.#events += 1;
    this.#from = this.#from === null || event.at < this.#from ? event.at : this.#from;
    this.#to = this.#to === null || event.at > this.#to ? event.at : this.#to;
    this.#addErased(index, line.erased, true);
    this.#checkParts(line);
    const workspaceId = this.#header?.workspace ?? "";
    const commitments = { actor: line.actor.commitment, target: line.target.commitment };
    const data = leafData({ ...event, id, workspaceId }, commitments);
    const actual = leafHash(data).toString("hex");
    if (actual !== line.leafHash) {
      const what = "the event isn't the one that was sealed: it, or its leaf, was edited";
      this.#find({ index, what, expected: line.leafHash, actual });
      return;
    }
    if (this.#isFiltered) {
      this.#checkProof(line);
      return;
    }
    const told = { index, id, at: event.at };
    if (event.action === "audit.prune") {
      const what = this.#absences.addPruning(told, event.detail);
      if (what !== undefined) this.#find({ index, what });
    } else if (event.action === "audit.erase") {
      const finding = this.#absences.addErasure(told, event.detail);
      if (finding !== undefined) this.#find({ index, ...finding });
    }
  }

  #checkParts({ index, actor, target, erased }: EventLine): void {
    const parts = {
      actor: {
        ...actor,
        isEmpty: actor.id === null && actor.name === "" && actor.address === null,
      },
      target: { ...target, isEmpty: target.id === "" && target.name === "" },
    };
    for (const [name, part] of Object.entries(parts)) {
      const isListed = erased.some((each) => each.part === name);
      const { salt, isEmpty, commitment } = part;
      if (salt === null) {
        if (!isEmpty) this.#find({ index, what: `the event's ${name} has lost its salt` });
        else if (!isListed) {
          this.#find({ index, what: `the event's ${name} was taken away, and no erasure took it` });
        }
        continue;
      }
      if (isListed) this.#find({ index, what: `the event's ${name} is erased, and still there` });
      const actual =
        name === "actor"
          ? actorCommitment({ ...actor, salt })
          : targetCommitment({ ...target, salt });
      if (actual !== commitment) {
        const what = `the event's ${name} isn't the one that was sealed: it was edited`;
        this.#find({ index, what, expected: commitment, actual });
      }
    }
  }

  #checkProof({ index, leafHash: leaf, proof = [] }: EventLine): void {
    const { size = 0, root = Buffer.alloc(0) } = this.#checkpoint ?? {};
    const claim = {
      ...{ index, size, root, leaf: Buffer.from(leaf, "hex") },
      proof: proof.map((hash) => Buffer.from(hash, "base64")),
    };
    if (!provesInclusion(claim)) {
      this.#find({ index, what: "the event's proof doesn't hold: it isn't in the signed tree" });
    }
  }

  #open(note: string): void {
    const isFiltered = this.#isFiltered;
    if (this.#checkpoint !== undefined || (isFiltered && this.#next > 0)) {
      this.#refuse(this.#lines, "there is more than one checkpoint, or it isn't in its place");
      return;
    }
    this.#isClosed = !isFiltered;
    const checkpoint = this.#verified(note, this.#key, originOfLog(this.#header?.workspace ?? ""));
    if (checkpoint === undefined) return;
    this.#checkpoint = checkpoint;
    if (isFiltered) return;
    const { size, root } = checkpoint;
    if (size !== this.#tree.size) {
      const what =
        size < this.#tree.size
          ? `the checkpoint is of ${size} leaves, and there are ${this.#tree.size}: a later checkpoint was taken away, or leaves were added`
          : `the checkpoint is of ${size} leaves, and there are only ${this.#tree.size}`;
      this.#find({ line: this.#lines, what });
    } else if (!root.equals(this.#tree.root())) {
      this.#find({
        line: this.#lines,
        what: "the leaves don't make up the tree that was signed: some were edited, added, taken away or moved",
        expected: root.toString("base64"),
        actual: this.#tree.root().toString("base64"),
      });
    }
  }

  #finish(note: string): void {
    this.#hasEnded = true;
    if (!this.#isFiltered && !this.#isClosed) {
      this.#find({ line: this.#lines, what: "the export has no checkpoint" });
    }
    const name = originOfExports(this.#header?.workspace ?? "");
    let key: string;
    try {
      key = renameVerifier(this.#key, name);
    } catch {
      this.#find({ line: this.#lines, what: "the key is malformed" });
      return;
    }
    const closing = this.#verified(note, key, name);
    if (closing === undefined) return;
    const hash = this.#hash.digest();
    if (note.split("\n").length !== 6) {
      this.#find({ line: this.#lines, what: "the last line's note says more than it has to" });
    }
    if (closing.size !== this.#lines - 1 || !closing.root.equals(hash)) {
      this.#find({
        line: this.#lines,
        what: "the file isn't the one that the service made: it was edited",
        expected: closing.root.toString("base64"),
        actual: hash.toString("base64"),
      });
    }
  }

  /** The checkpoint in `note`, if the key's signature on it holds. */
  #verified(note: string, key: string, origin: string): Checkpoint | undefined {
    try {
      const checkpoint = openCheckpoint(note, key);
      if (checkpoint.origin === origin) return checkpoint;
      this.#find({ line: this.#lines, what: "the signed note is of another log" });
    } catch (error) {
      this.#find({ line: this.#lines, what: reasonOf(error) });
    }
    return undefined;
  }

  /** Compares the tree, as it is now, with what is given of this size. */
  #compareRoots(): void {
    if (this.#isFiltered) return;
    while (this.#given[0]?.size === this.#tree.size) {
      const [given] = this.#given.splice(0, 1);
      if (given !== undefined) this.#compare(given, this.#tree.root());
    }
  }

  #compare({ size, root, where }: Compared, actual: Buffer): void {
    if (root.equals(actual)) {
      this.#agreeing += 1;
      return;
    }
    const what = `the log doesn't begin with the tree of the checkpoint kept in ${where} (${size} leaves): it was rewritten, or there are two of it`;
    const [expected, found] = [root, actual].map((hash) => hash.toString("base64"));
    this.#find({ what, expected, actual: found });
  }

  /** Those with which no size of the tree could be compared. */
  #compareGiven(): void {
    for (const given of this.#given) {
      const { size, where } = given;
      if (this.#isFiltered && this.#checkpoint?.size === size) {
        this.#compare(given, this.#checkpoint.root);
        continue;
      }
      const what = this.#isFiltered
        ? `an export with filters can't be compared with the checkpoint kept in ${where}, which is of another size: export all of the log`
        : `the checkpoint kept in ${where} is of ${size} leaves, and there are only ${this.#tree.size}: the log's end is gone (cut off, or rolled back)`;
      this.#find({ what });
    }
  }

  #accountForAbsences(): void {
    for (const { index, what, count } of this.#absences.unaccounted()) {
      this.#find({ index, what }, Math.max(count, 1));
    }
  }

  #find(finding: Finding, count = 1): void {
    this.#findingsInAll += count;
    if (this.#findings.length < MAX_FINDINGS) this.#findings.push(finding);
  }

  #refuse(line: number, why: string): void {
    if (this.#header === undefined) throw notAnExport(why);
    this.#stopped = true;
    this.#find({ line, what: `the line can't be read, and nothing after it was: ${why}` });
  }

  #report(header: HeaderLine): VerifyReport {
    const { workspace, origin, filters, at: exportedAt } = header;
    const keyPinned = this.#o.key !== undefined;
    const warnings: string[] = [];
    if (!keyPinned) {
      warnings.push(
        "No key was given, so the export's own was taken: whoever forges a whole log signs it with a key of theirs. Give the key that you keep (--key).",
      );
    }
    if (this.#isFiltered) {
      warnings.push(
        "The export has filters: each of its events is proved, and nothing is said of those that aren't in it, nor of who erased what.",
      );
    }
    return {
      verified: this.#findingsInAll === 0,
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
      checkpoints: this.#agreeing,
      findings: this.#findings,
      findingsInAll: this.#findingsInAll,
      warnings,
    };
  }
}

function reasonOf(error: unknown): string {
  return error instanceof NoteError ? error.message : "it can't be read";
}

function notAnExport(why: string): NotAnExportError {
  return new NotAnExportError(`This is no export of x3sproxy's audit: ${why}.`);
}
