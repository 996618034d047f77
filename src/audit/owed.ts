// What an export that is being made still owes: the events that say where went what isn't there. The log goes on meanwhile, and an export
// must not end as a whole one that says of one event both that it is there and that it is gone.
import type { Pool } from "../db/index.ts";
import type { EventLine, PrunedLine } from "./export-lines.ts";

/** Something was erased while an export was being made that had it in it already. */
export class ExportOutdatedError extends Error {
  override name = "ExportOutdatedError";
}

/** What an export has shown to be gone, and has not yet shown the reason of. */
export class Owed {
  #absentUntil = 0;
  #prunedBefore = 0;
  readonly #erased = new Map<string, number>();
  readonly #erasures = new Map<string, number>();

  add(line: EventLine | PrunedLine): void {
    if (line.type === "pruned") this.#absentUntil = line.index + 1;
    for (const { by } of line.erased) this.#erased.set(by, (this.#erased.get(by) ?? 0) + 1);
    if (line.type !== "event") return;
    const { action, detail } = line.event;
    if (action === "audit.erase") this.#erasures.set(line.id, line.index);
    if (action !== "audit.prune") return;
    const before = /"before":(\d{1,15})\b/.exec(detail ?? "")?.[1];
    this.#prunedBefore = Math.max(this.#prunedBefore, Number(before ?? 0));
  }

  get isOpen(): boolean {
    if (this.#absentUntil > this.#prunedBefore) return true;
    return [...this.#erased.keys()].some((by) => !this.#erasures.has(by));
  }

  /** The erasures from a leaf on, and how many parts are shown as theirs. */
  erasuresFrom(index: number): { id: string; count: number }[] {
    return [...this.#erasures]
      .filter(([, at]) => at >= index)
      .map(([id]) => ({ id, count: this.#erased.get(id) ?? 0 }));
  }
}

/** Throws ExportOutdatedError when an erasure that came after the export's beginning took what was written out before. */
export async function refuseOutdated(
  { pool, workspaceId }: { readonly pool: Pool; readonly workspaceId: string },
  owed: Owed,
  first: number,
): Promise<void> {
  for (const { id, count } of owed.erasuresFrom(first)) {
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
