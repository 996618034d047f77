// Exports a log, or the events that pass a filter, piece by piece in constant memory. Shows the database as it is, so that a verification
// finds what was edited. Must write the end of an export only if all of it was written.
import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { Pool } from "../db/index.ts";
import type { AuditFilter, EventPlace } from "./event-search.ts";
import { CSV_HEADER, csvOf } from "./export-csv.ts";
import {
  EXPORT_TYPE,
  formatLine,
  type EventLine,
  type ExportFilters,
  type ExportLine,
  type PrunedLine,
} from "./export-lines.ts";
import {
  countWaiting,
  isStored,
  readHead,
  readLeaves,
  readNodes,
  readOrphans,
  type Head,
} from "./exported-rows.ts";
import { GrowingTree, type Subtree } from "./merkle.ts";
import {
  originOfExports,
  originOfLog,
  readCheckpoint,
  signCheckpoint,
  verifierKey,
  type LogSigner,
} from "./note.ts";
import { PendingRemovals, refuseOutdated } from "./pending-removals.ts";
import { TreeHashes, tileLoader } from "./tree-hashes.ts";

export type ExportFormat = "jsonl" | "csv";

export interface ExportSource {
  readonly pool: Pool;
  readonly signer: LogSigner;
  readonly workspaceId: string;
  readonly filter: AuditFilter;
  readonly at: Date;
  /** Seals pending events. */
  seal(): Promise<void>;
  /** Whether they can't be sealed because the tree was edited. */
  isDamaged(): boolean;
}

const PAGE = 500;
const FILTERED_PAGE = 2000;
// How many lines are made before other work gets the event loop.
const SLICE = 125;
const ORPHANS_PAGE = 10_000;
const MAX_ROUNDS = 5;

/** The bytes of an export. Throws StoreUnavailableError, TreeDamagedError or ExportOutdatedError; the export then lacks its end. */
export async function* exportBytes(
  source: ExportSource,
  format: ExportFormat,
  head: Head,
): AsyncGenerator<Buffer> {
  if (format === "csv") {
    yield Buffer.from(CSV_HEADER, "utf8");
    for await (const { lines } of pages(source, 0, head.leaves)) {
      yield Buffer.from(
        lines
          .filter((line) => isWanted(source, line))
          .map(csvOf)
          .join(""),
        "utf8",
      );
    }
    return;
  }
  const { signer, workspaceId } = source;
  const hash = createHash("sha256");
  let count = 0;
  const bytesOf = (lines: readonly ExportLine[]): Buffer => {
    const bytes = Buffer.from(lines.map((line) => `${formatLine(line)}\n`).join(""), "utf8");
    hash.update(bytes);
    count += lines.length;
    return bytes;
  };
  yield bytesOf([headerOf(source)]);
  const body = isFiltered(source) ? filteredLines(source, head) : allLines(source, head);
  for await (const lines of body) yield bytesOf(lines);
  const origin = originOfExports(workspaceId);
  const note = signCheckpoint({ origin, size: count, root: hash.digest() }, signer);
  yield Buffer.from(`${formatLine({ type: "end", note })}\n`, "utf8");
}

async function* filteredLines(source: ExportSource, head: Head): AsyncGenerator<ExportLine[]> {
  const { pool, workspaceId } = source;
  if (head.checkpoint === undefined) return;
  const { size, note } = head.checkpoint;
  yield [{ type: "checkpoint", note }];
  const hashes = new TreeHashes(tileLoader(pool, workspaceId));
  for await (const { lines } of pages(source, 0, size)) {
    const proved: ExportLine[] = [];
    for (const line of lines) {
      if (line.type !== "event") continue;
      const proof = await hashes.inclusionProof(line.index, size);
      proved.push({ ...line, proof: proof.map((each) => each.toString("base64")) });
    }
    if (proved.length > 0) yield proved;
  }
}

async function* allLines(source: ExportSource, first: Head): AsyncGenerator<ExportLine[]> {
  const { pool, workspaceId } = source;
  const tree = new GrowingTree();
  const pendingRemovals = new PendingRemovals(first.leaves);
  let head = first;
  let at = 0;
  let nodesHold = true;
  for (let round = 1; ; round += 1) {
    for await (const { lines, next } of pages(source, at, head.leaves)) {
      at = next;
      const made: (Subtree & { hash: Buffer })[] = [];
      for (const line of lines) {
        nodesHold &&= line.index === tree.size;
        tree.append(Buffer.from(line.leafHash, "hex"), (subtree, hash) => {
          if (isStored(subtree)) made.push({ ...subtree, hash });
        });
        pendingRemovals.add(line);
      }
      yield lines;
      if (nodesHold && made.length > 0) {
        const wrong = await wrongNodes(source, made);
        if (wrong.length > 0) yield wrong;
      }
    }
    // What was pruned or erased during the export is recorded by events that are sealed later. Export those too.
    if (!pendingRemovals.isPending || round === MAX_ROUNDS) break;
    await source.seal();
    const before = head;
    head = await pool.inWorkspace(workspaceId, (sql) => readHead(sql, workspaceId));
    if (head.leaves === before.leaves) break;
  }
  if (first.leaves < head.leaves) await refuseOutdated(source, pendingRemovals);
  const orphans = await orphanEvents(source);
  if (orphans !== undefined) yield [orphans];
  const waiting = source.isDamaged() ? await waitingEvents(source) : undefined;
  if (waiting !== undefined) yield [waiting];
  yield closingOf(head);
}

/** The checkpoint, and a line of damage if its row disagrees with its note. */
function closingOf({ checkpoint }: Head): ExportLine[] {
  if (checkpoint === undefined) return [];
  const { size, note } = checkpoint;
  const lines: ExportLine[] = [{ type: "checkpoint", note }];
  const what = "the last checkpoint is kept under another size than its own";
  try {
    if (readCheckpoint(note).size !== size) lines.unshift({ type: "damage", what });
  } catch {
    // The verification reports that the note is malformed.
  }
  return lines;
}

async function* pages(
  source: ExportSource,
  start: number,
  end: number,
): AsyncGenerator<{ lines: (EventLine | PrunedLine)[]; next: number }> {
  const { pool, workspaceId, filter } = source;
  // With a filter, few of the leaves that a page reads leave the database.
  const page = isFiltered(source) ? { limit: FILTERED_PAGE, filter } : { limit: PAGE };
  for (let from = start; from < end;) {
    const rows = await pool.inWorkspace(workspaceId, (sql) =>
      readLeaves(sql, workspaceId, { from, end, ...page }),
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    from = last.index + 1;
    for (let i = 0; i < rows.length; i += SLICE) {
      if (i > 0) await turn();
      const lines = rows.slice(i, i + SLICE);
      yield { lines, next: (lines.at(-1)?.index ?? 0) + 1 };
    }
  }
}

async function wrongNodes(
  { pool, workspaceId }: ExportSource,
  made: readonly (Subtree & { hash: Buffer })[],
): Promise<ExportLine[]> {
  const kept = await pool.inWorkspace(workspaceId, (sql) => readNodes(sql, workspaceId, made));
  return made
    .filter(({ level, index, hash }) => kept.get(`${level}/${index}`)?.equals(hash) !== true)
    .map(({ level, index }) => {
      const what = `node ${index} of level ${level} isn't the hash of the leaves below it`;
      return { type: "damage", what };
    });
}

async function orphanEvents({ pool, workspaceId }: ExportSource): Promise<ExportLine | undefined> {
  let count = 0;
  let first: string | null = null;
  for (let after: EventPlace = ["0", "0"]; ;) {
    const page = await pool.inWorkspace(workspaceId, (sql) =>
      readOrphans(sql, workspaceId, after, ORPHANS_PAGE),
    );
    if (page === undefined) break;
    count += page.count;
    first ??= page.first;
    after = page.last;
  }
  if (first === null) return undefined;
  const what = `${count} events, the first of them with the id ${first}, are neither sealed nor waiting to be`;
  return { type: "damage", what };
}

/** Events that can't be sealed while the tree is damaged, and so are in no export. */
async function waitingEvents({ pool, workspaceId }: ExportSource): Promise<ExportLine> {
  const count = await pool.inWorkspace(workspaceId, (sql) => countWaiting(sql, workspaceId));
  return { type: "damage", what: `${count} events wait, and can't be sealed` };
}

function headerOf({ workspaceId, signer, filter, at }: ExportSource): ExportLine {
  const origin = originOfLog(workspaceId);
  return {
    type: EXPORT_TYPE,
    workspace: workspaceId,
    origin,
    verifierKey: verifierKey(origin, signer.publicKey),
    filters: filtersOf(filter),
    at: at.toISOString(),
  };
}

/** The filters as an export writes them. */
export function filtersOf({ action, actor, target, from, to }: AuditFilter): ExportFilters {
  return { action, actor, target, from: from?.toISOString(), to: to?.toISOString() };
}

function isFiltered({ filter }: ExportSource): boolean {
  return Object.values(filtersOf(filter)).some((value) => value !== undefined);
}

function isWanted(source: ExportSource, line: EventLine | PrunedLine): boolean {
  return line.type === "event" || !isFiltered(source);
}
