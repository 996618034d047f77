// Reading the audit. Never changes it.
import type { FoundPage, Page, Pool } from "../db/index.ts";
import { searchEvents, type AuditFilter, type EventPlace, type EventRow } from "./event-search.ts";

export interface AuditEventView {
  /** Grows with time; as text, since it may outgrow a number. */
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
  /** What else there is to know: a JSON object, as text. */
  detail: string | null;
  /** Its place in the tree; null: it isn't sealed yet. */
  index: number | null;
  /** What a person's erasure took: empty names stand in its place. */
  erased: ("actor" | "target")[];
  /** In the list. */
  place: EventPlace;
}

/** Where the audit's events begin: older ones had their time. */
export interface PrunedView {
  /** The place in the tree of the first that was not pruned. */
  index: number;
  /** ISO 8601: when the oldest may be from. */
  at: string;
  /** The retention under which they were pruned. */
  days: number;
}

export interface Audit {
  /** Newest first. Rejects with StoreUnavailableError when the database is away. */
  list(
    workspaceId: string,
    filter: AuditFilter,
    page: Page<EventPlace>,
  ): Promise<FoundPage<EventPlace, AuditEventView>>;
  /** Null: nothing was pruned. */
  pruned(workspaceId: string): Promise<PrunedView | null>;
}

/** `pool`: the control role's. */
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
