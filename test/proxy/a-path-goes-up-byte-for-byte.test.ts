import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openTarget } from "../support/attack.ts";

const segment = fc.oneof(
  fc.constantFrom(
    "v1",
    "V1",
    "models",
    "gemini-2.5-flash:generateContent",
    "x:generateContent",
    "ft:gpt-4o-mini-2024:org::Ab12",
    "a%20b",
    "%E2%9C%93",
    "%e2%9c%93",
    "100%25",
    "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-3-5-sonnet-20240620-v1%3A0",
    "",
    "a.b.c",
    ".hidden",
    "x;v=1",
    "it's",
    "(1)",
    "[1]",
    "a|b",
    "~x",
    "$rpc",
    "@scope",
  ),
  fc.stringMatching(/^[A-Za-z0-9_~!$&'()*+,=:@-]{1,8}$/),
);
const query = fc.option(
  fc
    .stringMatching(/^[A-Za-z0-9_.~!$&'()*+,=:@/?;-]{0,20}$/)
    .filter((text) => !/key|token|authorization|signature|credential/i.test(text)),
  { nil: undefined },
);

test("path and query go up exactly as they came", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  await fc.assert(
    fc.asyncProperty(
      fc.array(segment, { minLength: 1, maxLength: 5 }),
      query,
      async (segments, q) => {
        const target = `/${segments.join("/")}${q === undefined ? "" : `?${q}`}`;
        const { status } = await ask([
          `GET /openai${target} HTTP/1.1`,
          `Authorization: Bearer ${token}`,
        ]);
        const up = sent();
        assert.equal(status, 200, target);
        assert.equal(up.slice(0, up.indexOf("\r\n")), `GET ${target} HTTP/1.1`);
      },
    ),
    { numRuns: 200 },
  );
});

test("what is left of a query without its slots stays as it was", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  for (const [query, left] of [
    ["key=TOKEN", ""],
    ["a=1&key=TOKEN", "?a=1"],
    ["key=TOKEN&a=1", "?a=1"],
    ["a=%20b&key=TOKEN&c=+d&&e", "?a=%20b&c=+d&&e"],
    ["a=1;key=TOKEN;b=2", "?a=1;b=2"],
    ["a=1;key=TOKEN&b=2", "?a=1&b=2"],
    ["key=TOKEN&key=", ""],
  ] as const) {
    const { status } = await ask([`GET /openai/v1/x?${query.replace("TOKEN", token)} HTTP/1.1`]);
    assert.equal(status, 200);
    const up = sent();
    assert.equal(up.slice(0, up.indexOf("\r\n")), `GET /v1/x${left} HTTP/1.1`);
  }
});
