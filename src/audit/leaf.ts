// What of an event goes into the tree: one byte string, the same wherever it is made, in the service and by who verifies an export
// offline. Every field of an event is in it. Must never change for an event that is sealed: another form is another version.
import { hash } from "node:crypto";

/** An event as the database keeps it. */
export interface SealedEvent {
  /** As text, since it may outgrow a number. */
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
  /** JSON text, kept byte for byte. */
  readonly detail: string | null;
}

/** Who did it, and from where. */
export interface ActorPart {
  /** A UUID. */
  readonly salt: string;
  readonly id: string | null;
  readonly name: string;
  readonly address: string | null;
}

/** What it was done to. */
export interface TargetPart {
  /** A UUID. */
  readonly salt: string;
  readonly id: string;
  readonly name: string;
}

/** SHA-256, lower-case hex: what stands for who did it. With the salt gone it tells nothing. */
export function actorCommitment({ salt, id, name, address }: ActorPart): string {
  return commitment(["x3sproxy audit actor v1", salt, id, name, address]);
}

/** The same for what it was done to. */
export function targetCommitment({ salt, id, name }: TargetPart): string {
  return commitment(["x3sproxy audit target v1", salt, id, name]);
}

/** The leaf's bytes. `actor`, `target`: the commitments, lower-case hex. */
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

/** The leaf's bytes for an event that was gone before it could be sealed: the tree says so for ever. */
export function missingLeafData(workspaceId: string, id: string): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, workspace: workspaceId, id, missing: true }), "utf8");
}

function commitment(part: readonly (string | null)[]): string {
  return hash("sha256", JSON.stringify(part), "hex");
}

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
