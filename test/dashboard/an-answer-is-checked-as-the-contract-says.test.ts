// The dashboard checks answers by shapes that its build makes of the contract's schemas: both have to take and refuse the same.
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { ROUTES, type RouteDeclaration } from "../../src/contract/index.ts";
import { fits, type Shape } from "../../src/dashboard/answer-shapes.ts";
import { answerShapes } from "../../src/dashboard/build.ts";

/** Values that have a shape: with all that may be in them, and with as little as there may be. */
function examplesOf(shape: Shape): unknown[] {
  if (shape.anyOf !== undefined) return shape.anyOf.flatMap(examplesOf);
  if (shape.enum !== undefined) return [...shape.enum];
  if (shape.const !== undefined) return [shape.const];
  return [shape.type ?? "string"].flat().flatMap((type) => examplesOfType(type, shape));
}

function examplesOfType(type: string, shape: Shape): unknown[] {
  switch (type) {
    case "null":
      return [null];
    case "boolean":
      return [true];
    case "integer":
      return [3];
    case "number":
      return [2.5];
    case "array":
      return [[], examplesOf(shape.items ?? {})];
    case "object":
      return objectsOf(shape);
    default:
      return shape.pattern === undefined
        ? ["text"]
        : fc.sample(fc.stringMatching(new RegExp(shape.pattern)), { numRuns: 3, seed: 1 });
  }
}

function objectsOf({ properties = {}, required = [], additionalProperties }: Shape): unknown[] {
  const fields = Object.entries(properties).map(
    ([name, field]) => [name, examplesOf(field)] as const,
  );
  const others = typeof additionalProperties === "object" ? examplesOf(additionalProperties) : [];
  const most = Math.max(1, ...fields.map(([, examples]) => examples.length));
  const full = Array.from({ length: most }, (_, at) => ({
    ...Object.fromEntries(others.map((each, nth) => [`other${nth}`, each])),
    ...Object.fromEntries(fields.map(([name, examples]) => [name, examples[at % examples.length]])),
  }));
  const least = fields.filter(([name]) => required.includes(name));
  return [...full, Object.fromEntries(least.map(([name, [first]]) => [name, first]))];
}

/** The value with a thing of another kind in the place of each of its parts in turn, and without it. */
function spoilt(value: unknown): unknown[] {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return items.flatMap((each, at) => spoilt(each).map((bad) => items.with(at, bad)));
  }
  if (typeof value !== "object" || value === null) return [Symbol("of no kind"), {}, "\n';"];
  return Object.entries(value).flatMap(([name, field]) => {
    const rest = Object.fromEntries(Object.entries(value).filter(([other]) => other !== name));
    return [rest, ...spoilt(field).map((bad) => ({ ...value, [name]: bad }))];
  });
}

const shapes = answerShapes();

for (const [route, { answer }] of Object.entries<RouteDeclaration>(ROUTES)) {
  if (answer === undefined) continue;
  it(`${route}: what fits is what the contract takes`, () => {
    const shape = shapes[route];
    assert.ok(shape !== undefined);
    const examples = examplesOf(shape);
    assert.ok(examples.length > 0);
    for (const example of examples) {
      assert.ok(answer.safeParse(example).success && fits(shape, example), JSON.stringify(example));
      assert.ok(!fits(shape, null) && !fits(shape, [example]));
      for (const bad of spoilt(example)) {
        assert.equal(fits(shape, bad), answer.safeParse(bad).success, JSON.stringify(bad));
      }
    }
  });
}
