import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RefusalReason } from "../../src/platform/errors.ts";
import { JsonReader } from "../../src/proxy/json-reader.ts";
import { soughtOf } from "../support/sought.ts";

const LISTED = "gpt-5-mini";

function newReader(): JsonReader {
  return new JsonReader(soughtOf((model) => model === LISTED, ["models"]));
}

type Verdict = RefusalReason | "allowed";

function read(pieces: readonly Buffer[]): Verdict {
  const reader = newReader();
  for (const piece of pieces) {
    const refusal = reader.take(piece);
    if (refusal !== undefined) return refusal;
  }
  return reader.end() ?? "allowed";
}

/** The verdict on the whole, which has to be that on any two pieces of it, and on its bytes one by one. */
function readInAllWays(bytes: Buffer): Verdict {
  const verdict = read([bytes]);
  for (let at = 0; at <= bytes.length; at++) {
    const split = read([bytes.subarray(0, at), bytes.subarray(at)]);
    assert.equal(split, verdict, `split at ${at}`);
  }
  assert.equal(read([...bytes].map((byte) => Buffer.of(byte))), verdict, "byte by byte");
  return verdict;
}

const space = fc.constantFrom("", "", " ", "\n\t", "\r\n");
const odd = fc.constantFrom("model", "Model", "MODEL", "models", "mod el", "ｍodel", "name", "");
const text = fc.oneof(odd, fc.string({ unit: "binary", maxLength: 12 }), fc.string());
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.constantFrom(true, false, null, -0, 1e300, 1e-7),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(fc.tuple(text, tie("value")), { maxLength: 3 }).map((it) => Object.fromEntries(it)),
  ),
})).value;

/** A string as JSON, some of its letters escaped. */
const spelled = (content: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(content, fc.nat(3), fc.nat(6)).map(([it, style, at]) => {
    if (style > 0 || at >= it.length) return JSON.stringify(it);
    const escaped = `\\u${it.charCodeAt(at).toString(16).padStart(4, "0")}`;
    const before = JSON.stringify(it.slice(0, at)).slice(0, -1);
    return before + escaped + JSON.stringify(it.slice(at + 1)).slice(1);
  });

interface Member {
  readonly key: string;
  readonly value: string;
}
const member: fc.Arbitrary<Member> = fc.oneof(
  fc.constant({ key: '"model"', value: `"${LISTED}"` }),
  fc.record({
    key: spelled(text),
    value: value.map((it) => JSON.stringify(it)),
  }),
  fc.record({
    key: spelled(fc.constant("model")),
    value: fc.oneof(
      spelled(fc.constantFrom(LISTED, LISTED, "gpt-5")),
      value.map((it) => JSON.stringify(it)),
    ),
  }),
);
const document = fc
  .tuple(fc.array(member, { maxLength: 5 }), fc.array(space, { minLength: 24, maxLength: 24 }))
  .map(([members, spaces]) => {
    let next = 0;
    const s = (): string => spaces[next++ % spaces.length] ?? "";
    const inner = members.map(({ key, value: it }) => s() + key + s() + ":" + s() + it + s());
    return { members, text: `${s()}{${inner.join(",")}}${s()}` };
  });

/** Strictly: exactly one member may be taken for the model by anybody, its name is plainly written, and its value on the list. */
function expected(members: readonly Member[]): boolean {
  const fold = (name: string): string =>
    name
      .normalize("NFKC")
      .toLowerCase()
      .replace(/[^a-z0-9]/g, "");
  const rivals = members.filter(({ key }) =>
    ["model", "models"].includes(fold(JSON.parse(key) as string)),
  );
  const [only] = rivals;
  return rivals.length === 1 && only?.key === '"model"' && JSON.parse(only.value) === LISTED;
}

test("a document is allowed if and only if it names one model, plainly, that is on the list", () => {
  let allowed = 0;
  fc.assert(
    fc.property(document, ({ members, text: json }) => {
      JSON.parse(json); // it is one
      const verdict = readInAllWays(Buffer.from(json));
      assert.equal(verdict === "allowed", expected(members), json);
      if (verdict === "allowed") allowed++;
    }),
    { numRuns: 1500 },
  );
  assert.ok(allowed > 50, `only ${allowed} were allowed: the property says little`);
});

test("what is allowed is JSON to the strictest reader, whatever bytes are changed", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const change = fc.record({
    at: fc.nat(200),
    cut: fc.nat(3),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc
        .constantFrom(
          " ",
          "\n",
          "1",
          "x",
          '"',
          "\\",
          "{",
          "}",
          "[",
          "]",
          ",",
          ":",
          "0",
          "-",
          ".",
          "e",
          "\0",
          "t",
          "/*",
        )
        .map((it) => Buffer.from(it)),
    ),
  });
  let allowed = 0;
  fc.assert(
    fc.property(value, fc.array(change, { minLength: 1, maxLength: 2 }), (it, changes) => {
      let bytes: Buffer = Buffer.from(
        `{"model":"${LISTED}","pad":"${"p".repeat(60)}","input":${JSON.stringify(it)}}`,
      );
      for (const { at, cut, bytes: put } of changes) {
        const from = at % (bytes.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + cut)]);
      }
      const verdict = readInAllWays(bytes);
      let parsed: unknown;
      try {
        parsed = JSON.parse(decoder.decode(bytes));
      } catch {
        assert.notEqual(verdict, "allowed", JSON.stringify(bytes.toString("latin1")));
        return;
      }
      if (verdict !== "allowed") return;
      allowed++;
      assert.equal((parsed as { model?: unknown }).model, LISTED);
    }),
    { numRuns: 1500 },
  );
  assert.ok(allowed > 20, `only ${allowed} were allowed: the property says little`);
});

test("every JSON text that a client makes is read to its end", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (content) => {
      const json = JSON.stringify({ model: LISTED, input: content });
      assert.equal(read([Buffer.from(json)]), "allowed", json);
    }),
    { numRuns: 1000 },
  );
});
