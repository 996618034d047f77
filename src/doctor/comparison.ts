// Compares the database with sql/expected.json: what is missing, additional or different, and the SQL that mends each.
import { readFile } from "node:fs/promises";
import { ANY_DIGEST } from "./catalog.ts";
import { CONTENT_KINDS, RIGHT_KINDS, type Fact, type FactKind } from "./facts.ts";

export const EXPECTED_FILE = new URL("../../sql/expected.json", import.meta.url);

const DIGEST_LENGTH = 8;

/** For each kind, the expected facts by name. */
type Expected = Partial<Record<FactKind, Readonly<Record<string, string>>>>;

export interface Difference {
  readonly kind: FactKind;
  readonly how: "more" | "less" | "other";
  /** The fact as the server has it. */
  readonly name: string;
  /** A few words for people. */
  readonly what: string;
  readonly fix: string;
  readonly grantee: string | null;
}

/** Names of the compared database that no list has, quoted for SQL. */
export interface Names {
  readonly database: string;
  readonly owner: string;
  /** The two logins; the digest ends the name of each. */
  readonly logins: readonly string[];
}

/** The text of sql/expected.json, from a database after the migrations and the first start. */
export function expectedText(facts: readonly Fact[]): string {
  const byKind = [...RIGHT_KINDS, ...CONTENT_KINDS].map((kind) => {
    const own = facts
      .filter((fact) => fact.kind === kind)
      .map(({ name, is }) => [name, is] as const);
    return [kind, Object.fromEntries(own.sort(([a], [b]) => (a < b ? -1 : 1)))] as const;
  });
  return `${JSON.stringify(Object.fromEntries(byKind), null, 2)}\n`;
}

/** `facts`: all facts of these kinds. */
export async function differences(
  facts: readonly Fact[],
  kinds: readonly FactKind[],
  names: Names,
): Promise<Difference[]> {
  const expected = JSON.parse(await readFile(EXPECTED_FILE, "utf8")) as Expected;
  const digest = names.logins[0]?.slice(-DIGEST_LENGTH) ?? "";
  const here = (text: string): string => text.replaceAll(`_${ANY_DIGEST}`, `_${digest}`);
  const isServed = hasLogins(facts);
  return kinds.flatMap((kind) => {
    const found = new Map(facts.filter((fact) => fact.kind === kind).map((f) => [f.name, f]));
    const wanted = new Map(Object.entries(expected[kind] ?? {}));
    if (!isServed) {
      for (const name of wanted.keys()) if (name.includes(ANY_DIGEST)) wanted.delete(name);
      if (kind === "database right") found.clear();
    }
    return [...new Set([...wanted.keys(), ...found.keys()])].sort().flatMap((key) => {
      const [is, should] = [found.get(key), wanted.get(key)];
      if (is?.is === should) return [];
      const how = should === undefined ? "more" : is === undefined ? "less" : "other";
      const name = here(key);
      const fix =
        should === undefined ? (is?.undo ?? "") : mend(kind, name, here(should), is, names);
      const what = `${kind} ${name}${how === "more" ? "" : how === "less" ? " (missing)" : " (changed)"}`;
      return [{ kind, how, name, what, fix, grantee: is?.grantee ?? null }];
    });
  });
}

/** Whether the service has started once: before that there are no logins, and the database is still open to other roles. */
export function hasLogins(facts: readonly Fact[]): boolean {
  return facts.some(({ kind, name }) => kind === "role" && name.endsWith(ANY_DIGEST));
}

/** How to restore what is missing (`found` undefined) or changed: SQL, if one statement or two can do it. */
function mend(
  kind: FactKind,
  name: string,
  should: string,
  found: Fact | undefined,
  { database, owner }: Names,
): string {
  const [first, second] = splitAtLast(name, kind === "membership" ? " in " : " on ");
  const replaced = (create: string): string =>
    found === undefined ? create : `${found.undo}; ${create}`;
  const fromSchema = `bring ${kind} ${name} back as sql/schema.sql has it, as the schema's owner`;
  switch (kind) {
    case "role":
      return found === undefined
        ? "x3sproxy migrate, and start the service: they make the roles"
        : `alter role ${name} ${attributes(should, found.is)}`;
    case "membership":
      return found?.is.startsWith("with admin option") === true
        ? `revoke admin option for ${second} from ${first} cascade`
        : `grant ${second} to ${first}${found === undefined ? "" : " with inherit true"}`;
    case "grant": {
      const [right, grantee] = splitAtLast(name, " to ");
      return found === undefined
        ? `grant ${name}`
        : `revoke grant option for ${right} from ${grantee} cascade`;
    }
    case "database right":
      return `grant ${name.replace(" to ", ` on database ${database} to `)}`;
    case "row security":
      if (found?.is === "off") return `alter table ${name} enable row level security`;
      return should === "off"
        ? `alter table ${name} disable row level security`
        : `alter table ${name} no force row level security`;
    case "policy":
    case "index":
      return replaced(should);
    case "constraint":
      return replaced(`alter table ${second} add constraint ${first} ${should}`);
    case "trigger":
      return found?.is.startsWith(`${should}, `) === true
        ? `alter table ${second} enable trigger ${first}`
        : replaced(should);
    case "table":
    case "function":
      return found?.is.includes("owned by ") === true && isOwnerAlone(should, found.is)
        ? `alter ${kind} ${name} owner to ${owner}`
        : fromSchema;
    case "schema owner":
      return "alter schema x3sproxy owner to the user in DATABASE_URL";
    case "server setting":
      return found?.undo ?? "";
    case "column":
    case "object":
    case "rule":
    case "inheritance":
    case "default privilege":
    case "outside right":
    case "role setting":
    case "publication":
    case "subscription":
    case "event trigger":
      return fromSchema;
  }
}

function attributes(should: string, is: string): string {
  const had = new Set(is.split(", "));
  const back = should.split(", ").filter((each) => !had.has(each));
  return [...back, ...(is.includes("valid until") ? ["valid until 'infinity'"] : [])].join(" ");
}

function isOwnerAlone(should: string, is: string): boolean {
  const parts = is.split(", ").filter((part) => !part.startsWith("owned by "));
  return parts.join(", ") === should;
}

function splitAtLast(text: string, mark: string): [string, string] {
  const at = text.lastIndexOf(mark);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + mark.length)];
}
