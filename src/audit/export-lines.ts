// The lines of an export, JSON Lines, version 1: how each is written, and how it is read again. There is exactly one spelling of a
// line: what is spelt otherwise, or says more than is known here, is refused, since nothing would vouch for it.
import type { SealedEvent } from "./leaf.ts";

export const EXPORT_TYPE = "x3sproxy-audit-export";
export const EXPORT_VERSION = 1;
/** The longest line that can be one, in bytes. */
export const MAX_LINE_BYTES = 64 * 1024;

/** What an export was narrowed to; none: it is of all of the log. */
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
  /** When it was begun, ISO 8601. */
  readonly at: string;
}

/** A part as it is kept: of one that was erased only the commitment is left. */
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

/** Which part of an event was erased, and the id of the event of that erasure. */
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

/** A leaf whose event isn't there any more. */
export interface PrunedLine extends LeafLine {
  readonly type: "pruned";
}

/** Something that the service found wrong in its database, beside the leaves. */
export interface DamageLine {
  readonly type: "damage";
  readonly what: string;
}

/** The signed head of the tree. */
export interface CheckpointLine {
  readonly type: "checkpoint";
  readonly note: string;
}

/** The last one: a signed note about the lines before it. */
export interface EndLine {
  readonly type: "end";
  readonly note: string;
}

export type Line = HeaderLine | EventLine | PrunedLine | DamageLine | CheckpointLine | EndLine;

/** A line that can't be read. The message says why, and repeats nothing of it. */
export class LineError extends Error {
  override name = "LineError";
}

/** The line's text, without the line feed that ends it. */
export function formatLine(line: Line): string {
  return JSON.stringify(documentOf(line));
}

/** An event as it stands in a line: for those who get one alone. */
export function documentOf(line: Line): object {
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

/** Reads a line (without its line feed). Throws LineError. */
export function readLine(text: string): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new LineError("it isn't JSON");
  }
  const line = lineOf(recordOf(value, "it"));
  if (formatLine(line) !== text) {
    throw new LineError(
      "it has a field that is unknown, twice there, or not written as an export writes it",
    );
  }
  return line;
}

type Fields = Readonly<Record<string, unknown>>;

function lineOf(fields: Fields): Line {
  const type = fields["type"];
  switch (type) {
    case EXPORT_TYPE: {
      if (fields["version"] !== EXPORT_VERSION) {
        throw new LineError("it is of a version that is not known here");
      }
      const filters = recordOf(fields["filters"], "filters");
      const filter = (name: string): string | undefined =>
        filters[name] === undefined ? undefined : text(filters, name);
      return {
        type,
        workspace: matching(fields, "workspace", UUID),
        origin: text(fields, "origin"),
        verifierKey: text(fields, "verifierKey"),
        filters: {
          action: filter("action"),
          actor: filter("actor"),
          target: filter("target"),
          from: filter("from"),
          to: filter("to"),
        },
        at: text(fields, "at"),
      };
    }
    case "event": {
      const proof = fields["proof"];
      return {
        type,
        ...leafOf(fields),
        event: {
          at: matching(fields, "at", TIME),
          actorKind: text(fields, "actorKind"),
          method: text(fields, "method"),
          action: text(fields, "action"),
          targetKind: text(fields, "targetKind"),
          beforeHash: textOrNull(fields, "beforeHash"),
          afterHash: textOrNull(fields, "afterHash"),
          result: text(fields, "result"),
          detail: textOrNull(fields, "detail"),
        },
        actor: actorOf(recordOf(fields["actor"], "actor")),
        target: targetOf(recordOf(fields["target"], "target")),
        proof: proof === undefined ? undefined : listOf(proof, "proof").map(base64Hash),
      };
    }
    case "pruned":
      return { type, ...leafOf(fields) };
    case "damage":
      return { type, what: text(fields, "what") };
    case "checkpoint":
    case "end":
      return { type, note: text(fields, "note") };
    default:
      throw new LineError("it is of a type that is not known here");
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const HASH = /^[0-9a-f]{64}$/;
const ID = /^[1-9][0-9]{0,18}$/;
const TIME = /^\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

function leafOf(fields: Fields): LeafLine {
  const index = fields["index"];
  if (typeof index !== "number" || !Number.isSafeInteger(index) || index < 0) {
    throw new LineError("its index is no whole number from 0");
  }
  return {
    index,
    id: matching(fields, "id", ID),
    erased: listOf(fields["erased"], "erased").map((each) => {
      const entry = recordOf(each, "erased");
      const part = entry["part"];
      if (part !== "actor" && part !== "target") throw new LineError("it erased an unknown part");
      return { part, by: matching(entry, "by", ID) };
    }),
    leafHash: matching(fields, "leafHash", HASH),
  };
}

function actorOf(fields: Fields): ExportedActor {
  const commitment = matching(fields, "commitment", HASH);
  if (fields["erased"] === true)
    return { salt: null, id: null, name: "", address: null, commitment };
  return {
    salt: saltOf(fields),
    id: textOrNull(fields, "id"),
    name: text(fields, "name"),
    address: textOrNull(fields, "address"),
    commitment,
  };
}

function targetOf(fields: Fields): ExportedTarget {
  const commitment = matching(fields, "commitment", HASH);
  if (fields["erased"] === true) return { salt: null, id: "", name: "", commitment };
  return { salt: saltOf(fields), id: text(fields, "id"), name: text(fields, "name"), commitment };
}

function saltOf(fields: Fields): string | null {
  return fields["salt"] === null ? null : matching(fields, "salt", UUID);
}

function recordOf(value: unknown, name: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new LineError(`${name} is no object`);
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new LineError(`${name} is no list`);
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === "string") return value;
  throw new LineError(`${name} is no text`);
}

function textOrNull(fields: Fields, name: string): string | null {
  return fields[name] === null ? null : text(fields, name);
}

function matching(fields: Fields, name: string, form: RegExp): string {
  const value = text(fields, name);
  if (form.test(value)) return value;
  throw new LineError(`${name} is malformed`);
}

function base64Hash(value: unknown): string {
  if (typeof value === "string" && value.length === 44) {
    const bytes = Buffer.from(value, "base64");
    if (bytes.length === 32 && bytes.toString("base64") === value) return value;
  }
  throw new LineError("a hash of its proof is malformed");
}
