// The format of exports: JSON Lines, version 1. Must write each line in one canonical form, since the signature is about its bytes.
import type { SealedEvent } from "./leaf.ts";

export const EXPORT_TYPE = "x3sproxy-audit-export";
export const EXPORT_VERSION = 1;
/** The maximum length of a line, in bytes. */
export const MAX_LINE_BYTES = 64 * 1024;

/** The filters of an export; without any it is of the whole log. */
export interface ExportFilters {
  readonly action?: string | undefined;
  readonly actor?: string | undefined;
  readonly target?: string | undefined;
  /** ISO 8601. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface HeaderLine {
  readonly type: typeof EXPORT_TYPE;
  readonly workspace: string;
  readonly origin: string;
  readonly verifierKey: string;
  readonly filters: ExportFilters;
  /** When the export began, ISO 8601. */
  readonly at: string;
}

/** The actor of an event. If it was erased, only the commitment is left. */
export interface ExportedActor {
  /** Null: erased. */
  readonly salt: string | null;
  readonly id: string | null;
  readonly name: string;
  readonly address: string | null;
  readonly commitment: string;
}

export interface ExportedTarget {
  readonly salt: string | null;
  readonly id: string;
  readonly name: string;
  readonly commitment: string;
}

/** An erased part of an event. `by`: the id of the event that records the erasure. */
export interface ErasedPart {
  readonly part: "actor" | "target";
  readonly by: string;
}

interface LeafLine {
  readonly index: number;
  readonly id: string;
  readonly erased: readonly ErasedPart[];
  /** Lower-case hex. */
  readonly leafHash: string;
}

export interface EventLine extends LeafLine {
  readonly type: "event";
  readonly event: Omit<SealedEvent, "id" | "workspaceId">;
  readonly actor: ExportedActor;
  readonly target: ExportedTarget;
  /** Base64, from the leaf upwards; only where the export has filters. */
  readonly proof?: readonly string[] | undefined;
}

/** A leaf whose event is absent. */
export interface PrunedLine extends LeafLine {
  readonly type: "pruned";
}

/** A problem that the service found in its database, besides the leaves. */
export interface DamageLine {
  readonly type: "damage";
  readonly what: string;
}

/** The signed head of the tree. */
export interface CheckpointLine {
  readonly type: "checkpoint";
  readonly note: string;
}

/** The last line: a signed note about all lines before it. */
export interface EndLine {
  readonly type: "end";
  readonly note: string;
}

export type ExportLine =
  HeaderLine | EventLine | PrunedLine | DamageLine | CheckpointLine | EndLine;

/** A line can't be read. The message says why, and quotes nothing of it. */
export class LineError extends Error {
  override name = "LineError";
}

/** The text of a line, without its line feed. */
export function formatLine(line: ExportLine): string {
  return JSON.stringify(documentOf(line));
}

/** The JSON document of a line, also used for a single event of the REST API. */
export function documentOf(line: ExportLine): object {
  switch (line.type) {
    case EXPORT_TYPE: {
      const { type, workspace, origin, verifierKey, filters, at } = line;
      const { action, actor, target, from, to } = filters;
      return {
        ...{ type, version: EXPORT_VERSION, workspace, origin, verifierKey },
        ...{ filters: { action, actor, target, from, to }, at },
      };
    }
    case "event": {
      const { event, actor, target } = line;
      return {
        type: line.type,
        index: line.index,
        id: line.id,
        at: event.at,
        actorKind: event.actorKind,
        actor:
          actor.salt === null && actor.id === null && actor.name === "" && actor.address === null
            ? { erased: true, commitment: actor.commitment }
            : {
                salt: actor.salt,
                id: actor.id,
                name: actor.name,
                address: actor.address,
                commitment: actor.commitment,
              },
        method: event.method,
        action: event.action,
        targetKind: event.targetKind,
        target:
          target.salt === null && target.id === "" && target.name === ""
            ? { erased: true, commitment: target.commitment }
            : {
                salt: target.salt,
                id: target.id,
                name: target.name,
                commitment: target.commitment,
              },
        beforeHash: event.beforeHash,
        afterHash: event.afterHash,
        result: event.result,
        detail: event.detail,
        erased: line.erased.map(({ part, by }) => ({ part, by })),
        leafHash: line.leafHash,
        proof: line.proof,
      };
    }
    case "pruned":
      return {
        type: line.type,
        index: line.index,
        id: line.id,
        erased: line.erased.map(({ part, by }) => ({ part, by })),
        leafHash: line.leafHash,
      };
    case "damage":
      return { type: line.type, what: line.what };
    case "checkpoint":
    case "end":
      return { type: line.type, note: line.note };
  }
}
