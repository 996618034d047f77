// Each row of the table, against a second reading of its places that is simple and slow: over what JSON.parse makes of the body.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { builtInProviders } from "../../src/providers/index.ts";
import { custom } from "../../src/providers/custom-models.ts";
import { JsonReader } from "../../src/proxy/json-reader.ts";
import { placeOf, soughtAt } from "../support/sought.ts";
import { inputs } from "../support/generated.ts";

const LISTED = "good/one";

type Row = (typeof custom)["places"][number];
type Facts = typeof custom;

/** JSON in which a name may stand twice. */
type Node = string | number | null | readonly Node[] | Members;
interface Members {
  readonly members: readonly (readonly [string, Node])[];
}

interface Known {
  readonly steps: readonly string[];
  readonly kind: "only" | "model" | "tool" | "rival";
  /** Its last step. */
  readonly leaf: string | undefined;
}

/** `tools[].model` as `tools`, `[]`, `model`. */
const stepsOf = (path: string): string[] => path.replaceAll("[]", ".[]").split(".");

function knownPlaces(facts: Facts, row: Row): Known[] {
  const { at, name, also = [], tools = [], rivals = [] } = row;
  const known = (kind: Known["kind"], paths: readonly string[]): Known[] =>
    paths.map((path) => ({ steps: stepsOf(path), kind, leaf: stepsOf(path).at(-1) }));
  return [
    ...known("only", at === "path json" || at === "query" ? [] : [name]),
    ...known("model", [...also, ...tools.map((tool) => `${tool}.model`)]),
    ...known(
      "tool",
      tools.map((tool) => `${tool}.type`),
    ),
    ...known("rival", [...facts.rivals, ...rivals]),
  ];
}

// The second reading.

const fold = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");

function* leavesOf(
  value: unknown,
  places: readonly Known[],
): Generator<{ place: Known; name: string; value: unknown }> {
  if (Array.isArray(value)) {
    for (const item of value) yield* leavesOf(item, places);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, child] of Object.entries(value)) {
      const next = places
        .filter(({ steps: [step = ""] }) => step === "*" || fold(step) === fold(name))
        .map(({ steps, ...rest }) => ({ ...rest, steps: steps.slice(1) }));
      const [leaf] = next.filter(({ steps }) => steps.length === 0);
      if (leaf !== undefined) yield { place: leaf, name, value: child };
      yield* leavesOf(
        child,
        next.filter(({ steps }) => steps.length > 0),
      );
    }
  }
}

function allowsParsed(parsed: unknown, facts: Facts, row: Row): boolean {
  const places = knownPlaces(facts, row).map(({ steps, ...rest }) => ({
    ...rest,
    steps: steps.filter((it) => it !== "[]"),
  }));
  let found = 0;
  for (const { place, name, value } of leavesOf(parsed, places)) {
    const values = place.kind === "only" ? [value] : [value].flat(9);
    const prefix = row.bodyPrefix ?? "";
    if (place.kind === "rival") return false;
    if (place.kind === "only") found++;
    if (place.kind === "tool") {
      if (values.some((it) => typeof it === "string" && facts.modelTools?.test(it))) return false;
    } else {
      if (name !== place.leaf) return false;
      const models = values.map((it) =>
        typeof it === "string" && it.startsWith(prefix) ? it.slice(prefix.length) : it,
      );
      if (models.some((it) => it !== LISTED)) return false;
    }
  }
  return found === (places.some(({ kind }) => kind === "only") ? 1 : 0);
}

// Bodies.

const model = fc.constantFrom<Node>(LISTED, LISTED, LISTED, LISTED, "evil", null, 1);
const type = fc.constantFrom<Node>("function", "openrouter:web_search", "openrouter:fusion", "x");

function valueAt(kind: Known["kind"]): fc.Arbitrary<Node> {
  if (kind === "rival") return fc.constantFrom<Node>("x", null, [], { members: [] });
  return kind === "tool" ? type : model;
}

const spelling = fc.constantFrom(
  ...Array.from({ length: 8 }, () => (name: string) => name),
  (name: string) => name.toUpperCase(),
  (name: string) => `${name.slice(0, 1)}_${name.slice(1)}`,
);

function wrapped(steps: readonly string[], value: Node): Node {
  return steps.reduceRight<Node>((inner, step) => {
    if (step === "[]") return [{ members: [["name", "x"]] }, inner];
    return {
      members: [
        ["name", "x"],
        [step === "*" ? "parameters" : step, inner],
      ],
    };
  }, value);
}

/** A top-level member that leads to a known place, perhaps in another spelling, or one step beside it. */
function memberAt(places: readonly Known[]): fc.Arbitrary<readonly [string, Node]> {
  const further = places.filter(({ kind }) => kind !== "only");
  if (further.length === 0) return fc.constant(["other", "x"]);
  return fc
    .constantFrom(...further)
    .chain(({ steps, kind }) =>
      fc.tuple(fc.constant(steps), valueAt(kind), spelling, fc.nat(3), fc.constant(kind)),
    )
    .map(([steps, value, spell, beside, kind]) => {
      const spelled = steps.map((step, i) => (i === steps.length - 1 ? spell(step) : step));
      const isBeside = beside === 0 || (kind === "rival" && beside < 3);
      const path = isBeside ? ["metadata", ...spelled] : spelled;
      const [first = "", ...rest] = path;
      return [first, wrapped(rest, value)] as const;
    });
}

function dataOf(places: readonly Known[]): fc.Arbitrary<Node> {
  const names = [...new Set(places.flatMap(({ steps }) => steps))].filter((it) => /\w/.test(it));
  return fc.letrec<{ node: Node }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Node>("evil", LISTED, "openrouter:fusion", 1, null),
      fc.array(tie("node"), { maxLength: 2 }),
      fc
        .array(fc.tuple(fc.constantFrom(...names), tie("node")), { maxLength: 3 })
        .map((members): Node => ({ members })),
    ),
  })).node;
}

/** JSON text, in which every `nth` letter of a string's value is escaped; a name by two kept. */
function textOf(node: Node, nth: number): string {
  if (node === null || typeof node === "number") return JSON.stringify(node);
  if (typeof node === "string") {
    const letters = Array.from(node, (it, i) => {
      if (nth === 0 || i % nth > 0) return it;
      return it === "/" ? "\\/" : `\\u${it.charCodeAt(0).toString(16).padStart(4, "0")}`;
    });
    return `"${letters.join("")}"`;
  }
  if (isList(node)) return `[${node.map((it) => textOf(it, nth)).join(", ")}]`;
  const members = node.members.map(([name, it]) => `${JSON.stringify(name)}:${textOf(it, nth)}`);
  return `{${members.join(" ,")}}`;
}

function isList(node: Members | readonly Node[]): node is readonly Node[] {
  return Array.isArray(node);
}

/** The same with the first of each name alone, as some parsers read it. JSON.parse takes the last. */
function firstOnes(node: Node): Node {
  if (node === null || typeof node !== "object") return node;
  if (isList(node)) return node.map(firstOnes);
  const first = new Map<string, Node>();
  for (const [name, it] of node.members) if (!first.has(name)) first.set(name, firstOnes(it));
  return { members: [...first] };
}

function hasTwice(node: Node): boolean {
  if (node === null || typeof node !== "object") return false;
  if (isList(node)) return node.some(hasTwice);
  const names = node.members.map(([name]) => name);
  return new Set(names).size < names.length || node.members.some(([, it]) => hasTwice(it));
}

function bodiesOf(facts: Facts, row: Row): fc.Arbitrary<{ node: Members; nth: number }> {
  const places = knownPlaces(facts, row);
  const own = fc.constantFrom<Node>(LISTED, LISTED, LISTED, LISTED, LISTED, "evil", [LISTED], null);
  const isNamed = places.some(({ kind }) => kind === "only");
  const data = fc.tuple(fc.constantFrom("metadata", "user", "x"), dataOf(places));
  return fc
    .record({
      own,
      twice: fc.nat(19).map((n) => n === 0),
      further: fc.array(fc.oneof(memberAt(places), data), { maxLength: 3 }),
      at: fc.nat(3),
      nth: fc.nat(3),
    })
    .map(({ own: value, twice, further, at, nth }) => {
      const members = [...further];
      if (isNamed) members.splice(at, 0, [row.name, value]);
      if (isNamed && twice) members.push([row.name, LISTED]);
      return { node: { members }, nth };
    });
}

function readInPieces(reader: JsonReader, bytes: Buffer, cuts: readonly number[]): boolean {
  let from = 0;
  for (const to of [...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b)) {
    reader.take(bytes.subarray(from, to));
    from = to;
  }
  return reader.end() === undefined;
}

const rows = [...builtInProviders.values(), { name: "custom", models: custom }].flatMap(
  ({ name: provider, models }: { name: string; models: Facts }) =>
    models.places
      .filter(({ at, also }) => at.includes("json") || (at === "query" && also !== undefined))
      .map((row) => ({ provider, models, row })),
);

/** For a row of every method: one that no other row has. */
function methodOf({ method }: Row): string {
  return method === "*" ? "PUT" : method;
}

for (const { provider, models, row } of rows) {
  const [path = ""] = row.paths;
  test(`${provider} ${row.method} ${path}`, () => {
    const at = path.replace(/\{.*?\}/g, "m").replace("/**", "/x");
    const place = placeOf(provider, at.replaceAll("*", "m"), methodOf(row));
    const newReader = (): JsonReader => new JsonReader(soughtAt(place, (it) => it === LISTED));
    let allowed = 0;
    let refused = 0;
    fc.assert(
      fc.property(
        bodiesOf(models, row),
        fc.array(fc.nat(400), { maxLength: 6 }),
        ({ node, nth }, cuts) => {
          const text = textOf(node, nth);
          const bytes = Buffer.from(text);
          const isAllowed = readInPieces(newReader(), bytes, []);
          assert.equal(readInPieces(newReader(), bytes, cuts), isAllowed, `cut: ${text}`);
          const readings = [text, textOf(firstOnes(node), nth)].map((it) =>
            allowsParsed(JSON.parse(it), models, row),
          );
          const own = node.members.filter(([name]) => place.isRequired && name === row.name);
          if (own.length > 1) assert.ok(!isAllowed, text);
          if (hasTwice(node)) assert.ok(!isAllowed || readings.every((it) => it), text);
          else assert.equal(isAllowed, readings[0], text);
          if (isAllowed) allowed++;
          else refused++;
        },
      ),
      inputs(16, 200),
    );
    assert.ok(allowed > 20 && refused > 10, `${allowed} allowed, ${refused} refused`);
  });
}

test("every place of a row is looked at", () => {
  for (const { provider, models, row } of rows) {
    const [path = ""] = row.paths;
    const at = path
      .replace(/\{.*?\}/g, "m")
      .replace("/**", "/x")
      .replaceAll("*", "m");
    const place = placeOf(provider, at, methodOf(row));
    const places = knownPlaces(models, row);
    const own = places.filter(({ kind }) => kind === "only").map(() => [row.name, LISTED] as const);
    for (const { steps, kind } of places) {
      if (kind === "only" || (kind === "tool" && models.modelTools === undefined)) continue;
      const [first = "", ...rest] = steps;
      const node = (value: Node): Node => ({ members: [...own, [first, wrapped(rest, value)]] });
      const isAllowed = (value: Node): boolean => {
        const reader = new JsonReader(soughtAt(place, (it) => it === LISTED));
        return readInPieces(reader, Buffer.from(textOf(node(value), 0)), []);
      };
      const what = `${provider} ${path} ${steps.join(".")}`;
      assert.equal(isAllowed(kind === "tool" ? "openrouter:fusion" : "evil"), false, what);
      if (kind === "model") assert.equal(isAllowed(LISTED), true, what);
      if (kind === "tool") assert.equal(isAllowed("function"), true, what);
    }
  }
});
