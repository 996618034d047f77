// An event as it lies in the database, and its parts as the tree has them.
import type { ActorPart, SealedEvent, TargetPart } from "./leaf.ts";

export interface KeptEventRow {
  id: string;
  workspace_id: string;
  /** `created_at`, UTC with microseconds: a Date would drop these. */
  at: string;
  actor_kind: string;
  /** Null: the actor was erased. */
  actor_salt: string | null;
  actor_id: string | null;
  actor_name: string;
  address: string | null;
  method: string;
  action: string;
  target_kind: string;
  /** Null: the target was erased. */
  target_salt: string | null;
  target_id: string;
  target_name: string;
  before_hash: string | null;
  after_hash: string | null;
  result: string;
  detail: string | null;
}

/** Of an event from which nothing was erased: it waits to be sealed. */
export function toSealable(row: KeptEventRow): {
  event: SealedEvent;
  actor: ActorPart;
  target: TargetPart;
} {
  return {
    event: toEvent(row),
    actor: {
      salt: row.actor_salt ?? "",
      id: row.actor_id,
      name: row.actor_name,
      address: row.address,
    },
    target: { salt: row.target_salt ?? "", id: row.target_id, name: row.target_name },
  };
}

/** What of an event is about nobody. */
export function toEvent(row: KeptEventRow): SealedEvent {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    at: row.at,
    actorKind: row.actor_kind,
    method: row.method,
    action: row.action,
    targetKind: row.target_kind,
    beforeHash: row.before_hash,
    afterHash: row.after_hash,
    result: row.result,
    detail: row.detail,
  };
}
