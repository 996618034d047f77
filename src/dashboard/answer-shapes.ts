// Checks the API's answers in the browser, without a schema library. The build makes a shape of each answer in the contract: the part of its
// JSON Schema that says which fields and types there must be. Additional fields are allowed. Pure.

export interface Shape {
  readonly type?: string | readonly string[];
  readonly anyOf?: readonly Shape[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  /** A regular expression for a text. */
  readonly pattern?: string;
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Shape | boolean;
}

/** Shapes by route. A route without an answer has none. */
export type AnswerShapes = Readonly<Record<string, Shape>>;

/** Whether `value` has everything that `shape` demands. */
export function fits(shape: Shape, value: unknown): boolean {
  if (shape.anyOf !== undefined) return shape.anyOf.some((each) => fits(each, value));
  if (shape.enum !== undefined) return shape.enum.includes(value);
  if (shape.const !== undefined) return value === shape.const;
  if (shape.type === undefined) return true;
  return [shape.type].flat().some((type) => isOf(type, shape, value));
}

function isOf(type: string, shape: Shape, value: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value) && value.every((each) => fits(shape.items ?? {}, each));
    case "object":
      return isObject(value) && fitsFields(shape, value);
    case "string":
      return typeof value === "string" && matches(shape.pattern, value);
    default:
      return typeof value === type;
  }
}

const patterns = new Map<string, RegExp>();

function matches(pattern: string | undefined, text: string): boolean {
  if (pattern === undefined) return true;
  let expression = patterns.get(pattern);
  if (expression === undefined) patterns.set(pattern, (expression = new RegExp(pattern)));
  return expression.test(text);
}

function fitsFields(shape: Shape, value: Readonly<Record<string, unknown>>): boolean {
  const { properties = {}, required = [], additionalProperties: others } = shape;
  return (
    required.every((name) => Object.hasOwn(value, name)) &&
    Object.entries(value).every(([name, field]) => {
      const own = Object.hasOwn(properties, name) ? properties[name] : others;
      return typeof own !== "object" || fits(own, field);
    })
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
