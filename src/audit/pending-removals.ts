// The removals that an export shows before the event that records them: for each pruned event and erased part that event has to follow.
// The log may grow during an export. Must never let an export end as complete while it contradicts itself.
import type { Pool } from "../db/index.ts";
import type { EventLine, PrunedLine } from "./export-lines.ts";

/** During an export something was erased, or an erasure was pruned, that the export has already written. */
export class ExportOutdatedError extends Error {
  override name = "ExportOutdatedError";
}

/** Takes the lines of an export. */
export class PendingRemovals {
  // The number of leaves when the export began.
  readonly #since: number;
  #absentUntil = 0;
  #prunedBefore = 0;
  #prunedMeanwhile = 0;
  // By the id of the erasure: how many parts it erased, and whether one of their events is present.
  readonly #erased = new Map<string, { count: number; isShown: boolean }>();
  readonly #erasures = new Map<string, number>();
  readonly #goneErasures: number[] = [];

  constructor(since: number) {
    this.#since = since;
  }

  add(line: EventLine | PrunedLine): void {
    for (const { by } of line.erased) {
      const { count, isShown } = this.#erased.get(by) ?? { count: 0, isShown: false };
      this.#erased.set(by, { count: count + 1, isShown: isShown || line.type === "event" });
    }
    if (line.type === "pruned") {
      this.#absentUntil = line.index + 1;
      if (this.#erased.get(line.id)?.isShown === true) this.#goneErasures.push(line.index);
      return;
    }
    const { action, detail } = line.event;
    if (action === "audit.erase") this.#erasures.set(line.id, line.index);
    if (action !== "audit.prune") return;
    const before = Number(/"before":(\d{1,15})\b/.exec(detail ?? "")?.[1] ?? 0);
    this.#prunedBefore = Math.max(this.#prunedBefore, before);
    if (line.index >= this.#since) this.#prunedMeanwhile = Math.max(this.#prunedMeanwhile, before);
  }

  get isPending(): boolean {
    if (this.#absentUntil > this.#prunedBefore) return true;
    return [...this.#erased.keys()].some((by) => !this.#erasures.has(by));
  }

  /** The erasures recorded since the export began, each with the number of parts that the export has of it. */
  erasuresMeanwhile(): { id: string; count: number }[] {
    return [...this.#erasures]
      .filter(([, at]) => at >= this.#since)
      .map(([id]) => ({ id, count: this.#erased.get(id)?.count ?? 0 }));
  }

  /** Whether an erasure was pruned since the export began, although the export has parts that it erased. */
  get hasLostErasure(): boolean {
    return this.#goneErasures.some((index) => index < this.#prunedMeanwhile);
  }
}

/** Throws ExportOutdatedError when an erasure, or the pruning of one, has outdated what the export has already written. */
export async function refuseOutdated(
  { pool, workspaceId }: { readonly pool: Pool; readonly workspaceId: string },
  pendingRemovals: PendingRemovals,
): Promise<void> {
  if (pendingRemovals.hasLostErasure) {
    throw new ExportOutdatedError("an erasure was pruned of which the export has parts already");
  }
  for (const { id, count } of pendingRemovals.erasuresMeanwhile()) {
    const [row] = await pool.inWorkspace(
      workspaceId,
      (sql) => sql<[{ count: number }]>`
        select count(*)::int as count from x3sproxy.audit_erasures
        where workspace_id = ${workspaceId} and erasure_event_id = ${id}::bigint`,
    );
    if (row.count !== count) {
      throw new ExportOutdatedError("something was erased that the export has in it already");
    }
  }
}
