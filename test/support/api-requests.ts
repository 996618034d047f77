// Requests to the admin API, generated from its OpenAPI document: half of them as the document says, half with something in them that
// nobody would send. And the judge of the answers: whether the document has them.
import fc from "fast-check";
import { z } from "zod";
import type { JsonSchema, OpenApiDocument, Operation } from "../../src/admin/openapi.ts";

export interface ApiRequest {
  readonly operation: Operation;
  readonly method: string;
  /** With its query, below the API's own base. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export interface ApiAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** What there is that requests can name: an id or a name by the part of the path before it, as `secrets`. */
export type Known = ReadonlyMap<string, string>;

/** A path as it goes out. Until then a word between tildes stands for what is known by it. */
export function fill(path: string, known: Known): string {
  return path.replace(/~([a-z-]+)~/g, (_, part: string) => known.get(part) ?? "none");
}

// Names that bodies and queries can have.
const NAMES = ["known", "production", "openai", "other"];
const GOOD_TIMES = ["2026-11-30T12:00:00Z", "2026-11-30T12:00:00.123Z", "9999-12-31T23:59:59Z"];
const ODD_TIMES = [
  "0000-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "0001-01-01T00:00:00+14:00",
  "9999-12-31T23:59:59-14:00",
  "+275760-09-13T00:00:00Z",
];
/** Texts that somebody has stumbled over. */
const ODD_TEXTS = [
  ...ODD_TIMES,
  ...["", " ", "\0", "a\0b", "\\u0000", "%00", "\ud800", "\udfff\ud800", "\u2028", "\ufeff"],
  ...["\u202egnp.exe", "\u2066a\u2069", "\u200b", "../..", "null", "1e400", "9223372036854775808"],
  ...["00000000-0000-0000-0000-000000000000", "x".repeat(5000)],
  "'; drop table x3sproxy.users; --",
];
const MOST_OPTIONAL = 2;
const ODD_NUMBERS = [0, -0, -1, 0.5, 1e308, -1e308, 2 ** 31, 2 ** 53, 2 ** 63, 5e-324];

const oddText = fc.oneof(fc.constantFrom(...ODD_TEXTS), fc.string({ unit: "binary" }));
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  oddText,
  fc.constantFrom(...ODD_NUMBERS),
  fc.constantFrom(null, true, [], {}, [null], ["\0"], [[]], { toString: 1 }, { a: "\0" }),
  fc.jsonValue({ maxDepth: 2 }),
);
const oddBody = fc.constantFrom(
  ...[undefined, "", "null", "[]", "1e999", '"\\ud800"', "{", "[".repeat(5000), '{"a":1,"a":2}'],
);

/** Any request that the document has, and many that it has not. */
export function requestsOf(document: OpenApiDocument): fc.Arbitrary<ApiRequest> {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      [false, true].map((isOdd) => ({
        weight: weightOf(operation),
        arbitrary: requestOf({ document, isOdd }, method.toUpperCase(), path, operation),
      })),
    ),
  );
  return fc.oneof(...operations);
}

/** By how much can be said in it. */
function weightOf({ parameters = [], requestBody }: Operation): number {
  const { properties = {} } = requestBody?.content["application/json"]?.schema ?? {};
  return 1 + parameters.length + Object.keys(properties).length;
}

interface Manner {
  readonly document: OpenApiDocument;
  /** Whether now and then something stands where the document has something else. */
  readonly isOdd: boolean;
}

function requestOf(
  manner: Manner,
  method: string,
  path: string,
  operation: Operation,
): fc.Arbitrary<ApiRequest> {
  const { isOdd } = manner;
  const { parameters = [], requestBody } = operation;
  const inPath = parameters.filter((each) => each.in === "path");
  const inQuery = parameters.filter((each) => each.in === "query");
  const textOf = (of: JsonSchema): fc.Arbitrary<string> => valueOf(of, manner).map(textual);
  return fc
    .record({
      names: fc.tuple(
        ...inPath.map(({ name, schema: of }) =>
          fc.oneof(
            { weight: 3, arbitrary: fc.constant(`~${partBefore(path, name)}~`) },
            { weight: isOdd ? 2 : 0, arbitrary: textOf(of) },
          ),
        ),
      ),
      query: fc.tuple(
        ...inQuery.map(({ name, schema: of }) =>
          fc.oneof(
            { weight: 2, arbitrary: fc.constant(undefined) },
            {
              weight: name === "cursor" && !isOdd ? 0 : 1,
              arbitrary: name === "cursor" ? cursorOf(path) : textOf(of),
            },
          ),
        ),
      ),
      more: isOdd ? fc.option(fc.tuple(oddText, oddText), { freq: 9 }) : fc.constant(null),
      key: fc.option(fc.constantFrom("a", "b", ...(isOdd ? [" ", "x".repeat(300), "é"] : []))),
      type: fc.constantFrom(
        "application/json",
        ...(isOdd ? ["application/json; charset=utf-8", ""] : []),
      ),
      body: bodyOf(requestBody?.content["application/json"], manner),
    })
    .map(({ names, query, more, key, type, body }) => {
      const search = new URLSearchParams();
      inQuery.forEach(({ name }, i) => {
        const value = query[i];
        if (value !== undefined) search.append(name, value.toWellFormed());
      });
      if (more !== null) search.append(more[0].toWellFormed(), more[1].toWellFormed());
      const filled = inPath.reduce(
        (so, { name }, i) =>
          so.replace(`{${name}}`, () => encodeURIComponent((names[i] ?? "").toWellFormed())),
        path,
      );
      const hasKey = key !== null && parameters.some((each) => each.in === "header");
      return {
        operation,
        method,
        path: search.size === 0 ? filled : `${filled}?${search.toString()}`,
        headers: {
          ...(body !== undefined && type !== "" && { "content-type": type }),
          ...(hasKey && { "idempotency-key": key }),
        },
        body,
      };
    });
}

function partBefore(path: string, parameter: string): string {
  const parts = path.split("/");
  return parts[parts.indexOf(`{${parameter}}`) - 1] ?? "";
}

function textual(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A cursor in the service's own form, with anything in it. */
function cursorOf(path: string): fc.Arbitrary<string> {
  const list = fc.constantFrom(path.slice(1), "events");
  const part = fc.oneof(oddText, fc.constantFrom("a", "1", "00000000-0000-4000-8000-000000000000"));
  return fc
    .tuple(list, fc.oneof(fc.array(part, { maxLength: 4 }), oddValue))
    .map((content) => Buffer.from(JSON.stringify(content)).toString("base64url"));
}

type Content = NonNullable<Operation["requestBody"]>["content"][string];

function bodyOf(content: Content | undefined, manner: Manner): fc.Arbitrary<string | undefined> {
  if (content === undefined) return fc.constant(undefined);
  const { schema, example } = content;
  const made = valueOf(schema, manner).map((value) => JSON.stringify(value));
  if (manner.isOdd)
    return fc.oneof({ weight: 12, arbitrary: made }, { weight: 1, arbitrary: oddBody });
  return example === undefined ? made : fc.oneof(made, fc.constant(JSON.stringify(example)));
}

/** A value as `schema` has it, or, in an odd request, at times another. */
function valueOf(schema: JsonSchema, manner: Manner): fc.Arbitrary<unknown> {
  const good = goodValueOf(schema, manner);
  if (!manner.isOdd) return good;
  return fc.oneof({ weight: 8, arbitrary: good }, { weight: 1, arbitrary: oddValue });
}

function goodValueOf(schema: JsonSchema, manner: Manner): fc.Arbitrary<unknown> {
  const { $ref, anyOf, type, enum: values, const: only, items, minItems = 0 } = schema;
  if ($ref !== undefined) return valueOf(named(manner.document, $ref), manner);
  if (anyOf !== undefined) {
    return fc.oneof(
      ...anyOf.map((each) => ({
        weight: each.type === "null" ? 1 : 3,
        arbitrary: valueOf(each, manner),
      })),
    );
  }
  if (values !== undefined) return fc.constantFrom(...(values as unknown[]));
  if (only !== undefined) return fc.constant(only);
  switch (type) {
    case "string":
      return goodTextOf(schema);
    case "integer":
    case "number":
      return goodNumberOf(schema);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valueOf((items ?? {}) as JsonSchema, manner), {
        minLength: minItems,
        maxLength: Math.max(minItems, 2),
      });
    case "object": {
      const { properties = {}, required = [] } = schema;
      const fields = Object.entries(properties).map(
        ([name, each]): [string, fc.Arbitrary<unknown>] => [
          name,
          valueOf(each as JsonSchema, manner),
        ],
      );
      const optional = Object.keys(properties).filter((name) => !required.includes(name));
      // Few of them: with many, what is wrong with one hides what is wrong with the next.
      return fc
        .subarray(optional, { maxLength: Math.min(MOST_OPTIONAL, optional.length) })
        .chain((chosen) =>
          fc.record(
            Object.fromEntries(
              fields.filter(([name]) => required.includes(name) || chosen.includes(name)),
            ),
          ),
        );
    }
    case undefined:
    default:
      throw new Error(`no value for ${JSON.stringify(schema)}`);
  }
}

function goodTextOf({ format, pattern, maxLength = Infinity }: JsonSchema): fc.Arbitrary<string> {
  if (format === "date-time") {
    return fc.oneof(fc.constantFrom(...GOOD_TIMES), fc.constantFrom(...ODD_TIMES));
  }
  if (format === "email") {
    return fc.oneof(fc.constantFrom("ada@example.test", "Bob@Example.test"), fc.emailAddress());
  }
  if (format === "uuid") return fc.uuid();
  const names = fc.constantFrom(...NAMES);
  if (pattern === undefined) {
    return fc.oneof(names, fc.string({ maxLength: Math.min(maxLength, 40) }));
  }
  // Without a flag, as others read it, too.
  const matching = fc.stringMatching(new RegExp(pattern)).filter((it) => it.length <= maxLength);
  return new RegExp(pattern).test("known") ? fc.oneof(names, matching) : matching;
}

function goodNumberOf(schema: JsonSchema): fc.Arbitrary<number> {
  const { minimum, exclusiveMinimum, maximum = 2 ** 31 } = schema;
  const min = typeof exclusiveMinimum === "number" ? exclusiveMinimum + 1 : (minimum ?? 0);
  return fc.oneof(
    fc.integer({ min, max: Math.min(maximum, min + 100) }),
    fc.constantFrom(min, maximum),
  );
}

function named(document: OpenApiDocument, ref: string): JsonSchema {
  const found = document.components.schemas[ref.slice(ref.lastIndexOf("/") + 1)];
  if (found === undefined) throw new Error(`no ${ref}`);
  return found;
}

/** What the document doesn't say of an answer; undefined: it says all of it. */
export function createJudge(
  document: OpenApiDocument,
): (of: Operation, answer: ApiAnswer) => string | undefined {
  const within = <T>(value: T): T =>
    JSON.parse(JSON.stringify(value).replaceAll("#/components/schemas/", "#/$defs/")) as T;
  const $defs = within(document.components.schemas);
  const schemas = new Map<JsonSchema, z.ZodType>();
  const compile = (schema: JsonSchema): z.ZodType => {
    const made = schemas.get(schema) ?? z.fromJSONSchema({ ...within(schema), $defs });
    schemas.set(schema, made);
    return made;
  };
  return (operation, { status, type, text }) => {
    const { [String(status)]: exact, default: any } = operation.responses;
    // Of problems the document names those that it knows of; any other success is news.
    const declared = exact ?? (status < 400 ? undefined : any);
    if (declared === undefined) return `status ${status}`;
    const response =
      "$ref" in declared
        ? document.components.responses[declared.$ref.slice(declared.$ref.lastIndexOf("/") + 1)]
        : declared;
    if (response?.content === undefined) return text === "" ? undefined : "a body";
    const media = type.replace(/;.*/, "");
    const content = response.content[media];
    if (content === undefined) return `the media type ${media}`;
    if (!media.endsWith("json")) return undefined;
    const parsed = compile(content.schema).safeParse(JSON.parse(text));
    return parsed.success ? undefined : z.prettifyError(parsed.error);
  };
}
