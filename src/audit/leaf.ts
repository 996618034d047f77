// An event as a leaf of the tree: the bytes that are hashed, the same in the service and in an offline verification. Every field of an
// event is in them, its actor and target as commitments. Must never change for a sealed event: another form needs another version.
import { hash } from "node:crypto";

/** The fields of an event besides its actor and target. */
export interface SealedEvent {
  /** As text, since it may exceed the safe integers. */
  readonly id: string;
  readonly workspaceId: string;
  /** UTC with microseconds, as `2026-11-25T19:02:56.123456Z`. */
  readonly at: string;
  readonly actorKind: string;
  readonly method: string;
  readonly action: string;
  readonly targetKind: string;
  readonly beforeHash: string | null;
  readonly afterHash: string | null;
  readonly result: string;
  /** JSON, stored byte for byte. */
  readonly detail: string | null;
}

/** The actor and its address. */
export interface ActorPart {
  /** A UUID. */
  readonly salt: string;
  readonly id: string | null;
  readonly name: string;
  readonly address: string | null;
}

export interface TargetPart {
  /** A UUID. */
  readonly salt: string;
  readonly id: string;
  readonly name: string;
}

/** The commitment to the actor: SHA-256, lower-case hex. Reveals nothing once its salt is deleted. */
export function actorCommitment({ salt, id, name, address }: ActorPart): string {
  return commitment(["x3sproxy audit actor v1", salt, id, name, address]);
}

/** The commitment to the target, likewise. */
export function targetCommitment({ salt, id, name }: TargetPart): string {
  return commitment(["x3sproxy audit target v1", salt, id, name]);
}

/** The bytes of an event's leaf. `actor`, `target`: the commitments, lower-case hex. */
export function leafData(
  event: SealedEvent,
  { actor, target }: { readonly actor: string; readonly target: string },
): Buffer {
  return Buffer.from(
    JSON.stringify({
      v: 1,
      workspace: event.workspaceId,
      id: event.id,
      at: event.at,
      actorKind: event.actorKind,
      actor,
      method: event.method,
      action: event.action,
      targetKind: event.targetKind,
      target,
      beforeHash: event.beforeHash,
      afterHash: event.afterHash,
      result: event.result,
      detail: event.detail,
    }),
    "utf8",
  );
}

/** The bytes of the leaf of an event that was deleted before it was sealed. So the tree shows the deletion for ever. */
export function missingLeafData(workspaceId: string, id: string): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, workspace: workspaceId, id, missing: true }), "utf8");
}

function commitment(part: readonly (string | null)[]): string {
  return hash("sha256", JSON.stringify(part), "hex");
}

export interface StoredEvent {
  id: string;
  workspace_id: string;
  /** `created_at` in UTC with microseconds, which a Date would lose. */
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

/** Splits the row of an event that waits to be sealed, so that nothing of it is erased. */
export function toSealable(row: StoredEvent): {
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

/** The fields of a row besides actor and target. */
export function toEvent(row: StoredEvent): SealedEvent {
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
