// Describes a change in words: one text for each field, as in `openai → openai, anthropic`. Must never include a secret, a part of one,
// or personal data, since the event outlives their deletion and erasure.
import { escapeHidden, VISIBLE_LINE } from "../platform/visible-text.ts";

/** The target of an event as the REST API shows it: texts, numbers, lists and objects. */
type Shown = Readonly<Record<string, unknown>>;

/** The event has these already: its target, its actor, and its time. */
const SAID_ELSEWHERE = new Set(["id", "agent", "userId", "email", "createdBy", "invitedBy"]);
const TIMES_OF_THE_EVENT = new Set(["createdAt", "deployedAt", "updatedAt"]);
const NO_CHANGE_OF_IT = new Set(["lastUsedAt", "lastSignInAt"]);
/** The last characters of a key. */
const PARTS_OF_SECRETS = new Set(["masked"]);
/** Free text, which may name a person: the description says only that it changed. */
const WITHOUT_VALUE = new Set(["label"]);
/** Lists that allow everything when they are empty. */
const OPEN_WHEN_EMPTY = new Set(["allowedAddresses"]);
/** Numbers for which null means none, not `no limit`. */
const NONE_WHEN_NULL = new Set(["candidate"]);

/** The maximum length of the whole description, in characters of JSON. The database accepts 4,000 for all details of an event. */
const MAX_CHARACTERS = 3000;
/** Maximum lengths of one field, tried in turn until the whole fits. */
const MAX_OF_A_FIELD = [2500, 400, 60] as const;
const MAX_WHOLE_LIST = 300;
const MAX_ITEM = 200;
/** Text that could be confused with the separators of a description. */
const NEEDS_QUOTES = /[",;→\\]|^\s|\s$|^$/;

/**
 * A text `before → after` for each field that differs (a nested field is named as in `limits.openStreams`). Of a target that was created
 * or deleted, the value of each field, without empty lists. Leaves out what the event has already. A long list is described by what was
 * added and removed, and how many more. At most 3,000 characters as JSON.
 */
export function changesInWords(
  before: object | undefined,
  after: object | undefined,
): Record<string, string> {
  const [was, is] = [flatten(before), flatten(after)];
  const names = [...new Set([...was.keys(), ...is.keys()])].filter(
    (name) => JSON.stringify(was.get(name)) !== JSON.stringify(is.get(name)),
  );
  const isChange = before !== undefined && after !== undefined;
  for (const most of MAX_OF_A_FIELD) {
    const texts: Record<string, string> = {};
    for (const name of names) {
      const field = name.slice(name.lastIndexOf(".") + 1);
      if (WITHOUT_VALUE.has(field)) {
        if (isChange) texts[name] = "changed";
      } else if (isChange) {
        texts[name] = difference(field, was.get(name), is.get(name), most);
      } else if (field !== "name") {
        const value = was.get(name) ?? is.get(name) ?? [];
        const isNothing = Array.isArray(value) && value.length === 0;
        if (!isNothing) texts[name] = inWords(field, value, most);
      }
    }
    if (JSON.stringify(texts).length <= MAX_CHARACTERS) return texts;
  }
  return { changed: names.join(", ").slice(0, MAX_CHARACTERS / 2) };
}

/** The fields to describe, by name. Flattens objects and keeps lists. */
function flatten(value: object | undefined, prefix = ""): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [name, each] of Object.entries((value ?? {}) as Shown)) {
    const ignored = [SAID_ELSEWHERE, TIMES_OF_THE_EVENT, NO_CHANGE_OF_IT, PARTS_OF_SECRETS];
    if (each === undefined || ignored.some((set) => set.has(name))) continue;
    if (each !== null && typeof each === "object" && !Array.isArray(each)) {
      for (const [inner, of] of flatten(each, `${prefix}${name}.`)) fields.set(inner, of);
    } else {
      fields.set(prefix + name, each);
    }
  }
  return fields;
}

function difference(field: string, was: unknown, is: unknown, most: number): string {
  const whole = `${inWords(field, was, Infinity)} → ${inWords(field, is, Infinity)}`;
  const bothListed = Array.isArray(was) && Array.isArray(is);
  if (whole.length <= (bothListed ? Math.min(most, MAX_WHOLE_LIST) : most)) return whole;
  if (!bothListed) {
    return `${inWords(field, was, most / 2)} → ${inWords(field, is, most / 2)}`;
  }
  const old = new Set(was.map((item) => itemInWords(item)));
  const current = new Set(is.map((item) => itemInWords(item)));
  const added = [...current].filter((item) => !old.has(item));
  const removed = [...old].filter((item) => !current.has(item));
  const parts = [];
  if (added.length > 0) parts.push(`added ${listInWords(added, most / 2)}`);
  if (removed.length > 0) parts.push(`removed ${listInWords(removed, most / 2)}`);
  if (parts.length === 0) return `${is.length} in another order`;
  return `${parts.join("; ")}; ${was.length} → ${is.length} in all`;
}

function inWords(field: string, value: unknown, most: number): string {
  if (value === undefined) return "none";
  if (value === null) {
    if (NONE_WHEN_NULL.has(field)) return "none";
    return field.endsWith("At") ? "never" : "no limit";
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (!Array.isArray(value)) return itemInWords(value, most);
  if (value.length === 0) return OPEN_WHEN_EMPTY.has(field) ? "no limit" : "none";
  return listInWords(
    value.map((item) => itemInWords(item)),
    most,
  );
}

/** As many items as fit into `most` characters of JSON, and the number of the others. */
function listInWords(items: readonly string[], most: number): string {
  let characters = 0;
  const fitting = items.findIndex((item) => (characters += JSON.stringify(item).length) > most);
  if (fitting === -1) return items.join(", ");
  if (fitting === 0) return `${items.length}, too long to be told`;
  return `${items.slice(0, fitting).join(", ")}, and ${items.length - fitting} more`;
}

function itemInWords(item: unknown, most = MAX_ITEM): string {
  const text = typeof item === "string" ? item : JSON.stringify(item ?? null);
  const longest = Math.min(most, MAX_ITEM);
  const short = text.length <= longest ? text : `${text.slice(0, longest)}…`;
  if (!NEEDS_QUOTES.test(short) && VISIBLE_LINE.test(short)) return short;
  return escapeHidden(JSON.stringify(short));
}
