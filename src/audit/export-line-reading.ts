// Reads the lines of an export. Must refuse a line that isn't in its one canonical form or has unknown fields, since nothing else
// verifies those.
import {
  EXPORT_TYPE,
  EXPORT_VERSION,
  formatLine,
  LineError,
  type EventLine,
  type ExportedActor,
  type ExportedTarget,
  type ExportLine,
} from "./export-lines.ts";

/** Reads a line (without its line feed). Throws LineError. */
export function readLine(text: string): ExportLine {
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
type LeafFields = Pick<EventLine, "index" | "id" | "erased" | "leafHash">;

function lineOf(fields: Fields): ExportLine {
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

function leafOf(fields: Fields): LeafFields {
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
