// Reads the audit for the control plane. Must never change it.
import type { FoundPage, Page, Pool } from "../db/index.ts";
import { searchEvents, type AuditFilter, type EventPlace, type EventRow } from "./event-search.ts";

export interface AuditEventView {
  /** Later events have larger ids. As text, since it may exceed the safe integers. */
  id: string;
  /** ISO 8601. */
  at: string;
  actor: { kind: string; id: string | null; name: string };
  address: string | null;
  method: string;
  action: string;
  target: { kind: string; id: string; name: string };
  beforeHash: string | null;
  afterHash: string | null;
  result: string;
  /** Further details: a JSON object, as text. */
  detail: string | null;
  /** The index of its leaf in the tree; null: it isn't sealed yet. */
  index: number | null;
  /** The parts that the erasure of a person emptied. */
  erased: ("actor" | "target")[];
  /** Its sort key in the list. */
  place: EventPlace;
}

/** What the last pruning removed: events older than the retention. */
export interface PrunedView {
  /** The index of the first event that was not pruned. */
  index: number;
  /** Events before this time were pruned, ISO 8601. */
  at: string;
  /** The retention under which they were pruned. */
  days: number;
}

export interface Audit {
  /** The newest first. Rejects with StoreUnavailableError. */
  list(
    workspaceId: string,
    filter: AuditFilter,
    page: Page<EventPlace>,
  ): Promise<FoundPage<EventPlace, AuditEventView>>;
  /** Null: nothing was pruned. */
  pruned(workspaceId: string): Promise<PrunedView | null>;
}

/** `pool`: of the control role. */
export function createAudit({ pool }: { pool: Pool }): Audit {
  return {
    async list(workspaceId, filter, page) {
      const { rows, reached } = await pool.inWorkspace(workspaceId, (sql) =>
        searchEvents(sql, workspaceId, filter, page),
      );
      return { rows: rows.map(view), reached };
    },

    async pruned(workspaceId) {
      const [row] = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<{ index: number; at: Date | null; days: number }[]>`
          select pruned_before::float8 as index, pruned_until as at, pruned_days as days
          from x3sproxy.audit_retentions where workspace_id = ${workspaceId}`,
      );
      if (row?.at == null) return null;
      return { index: row.index, at: row.at.toISOString(), days: row.days };
    },
  };
}

function view(row: EventRow): AuditEventView {
  const erased: AuditEventView["erased"] = [];
  if (row.actor_salt === null) erased.push("actor");
  if (row.target_salt === null) erased.push("target");
  return {
    id: row.id,
    at: row.created_at.toISOString(),
    actor: { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
    address: row.address,
    method: row.method,
    action: row.action,
    target: { kind: row.target_kind, id: row.target_id, name: row.target_name },
    beforeHash: row.before_hash,
    afterHash: row.after_hash,
    result: row.result,
    detail: row.detail,
    index: row.leaf_index === null ? null : Number(row.leaf_index),
    erased,
    place: [row.created_us, row.id],
  };
}
