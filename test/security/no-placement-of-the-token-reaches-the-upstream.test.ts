// Random header sections with the token strewn in: either the request is refused, or what goes up holds nothing of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { findToken, stripQuery } from "../../src/proxy/credential-slots.ts";
import { rewriteRequest } from "../../src/proxy/headers.ts";
import { FOREIGN_KEY, openTarget } from "../support/attack.ts";
import { FAKE_KEY } from "../support/data-plane.ts";

const TOKEN = newBearer(PROXY_TOKEN_PREFIX);

const spelled = (name: string): fc.Arbitrary<string> =>
  fc
    .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
    .map((upper) => Array.from(name, (c, i) => (upper[i] === true ? c.toUpperCase() : c)).join(""));

const fieldName = fc.oneof(
  fc
    .constantFrom(
      ..."authorization x-api-key api-key x-goog-api-key xi-api-key cookie proxy-authorization via connection".split(
        " ",
      ),
      ..."sec-websocket-protocol x-acme-key referer user-agent x_api_key x-forwarded-for forwarded host".split(
        " ",
      ),
    )
    .chain(spelled),
  fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/),
  fc.constant(TOKEN),
);
const fieldValue = fc.oneof(
  fc.constantFrom(
    TOKEN,
    `Bearer ${TOKEN}`,
    `token, ${TOKEN}`,
    `a ${TOKEN}`,
    `https://x.test/?key=${TOKEN}`,
    `realtime, openai-insecure-api-key.${TOKEN}`,
    `Basic ${Buffer.from(`:${TOKEN}`).toString("base64")}`,
    TOKEN.slice(0, 20),
    FOREIGN_KEY,
    `openai-insecure-api-key.${FOREIGN_KEY}`,
    "x-api-key, authorization, x-acme-key, via",
    "token",
    "",
  ),
  fc.stringMatching(/^[!-~][ -~]{0,20}[!-~]$/),
);
const parameter = fc.oneof(
  fc.constantFrom(
    `key=${TOKEN}`,
    `k%65y=${TOKEN.replace("s", "%73")}`,
    TOKEN,
    `a=${TOKEN}b`,
    `${TOKEN}=1`,
    `x=%20${TOKEN}`,
    "",
    "key",
  ),
  fc.stringMatching(/^[a-z0-9=%+_-]{0,8}$/),
);
const query = fc.option(
  fc
    .array(fc.tuple(parameter, fc.constantFrom("&", ";")), { maxLength: 5 })
    .map((parts) => parts.flat().slice(0, -1).join("")),
  { nil: undefined },
);
const injection = {
  names: ["x-acme-key"],
  applyTo: (headers: string[]) => void headers.push("x-acme-key", FAKE_KEY),
};

test("whatever is not refused goes up without the token, and with exactly one credential, the real one", () => {
  let passed = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 8 }),
      query,
      fc.nat(8),
      (fields, queryText, at) => {
        fields.splice(at, 0, ["Authorization", `Bearer ${TOKEN}`]);
        const raw = fields.flat();
        const found = findToken(raw, queryText);
        if (typeof found === "string") return;
        passed++;
        assert.equal(found.token, TOKEN);
        const { headers } = rewriteRequest(raw, {
          slot: "x-acme-key",
          httpVersion: "1.1",
          contentLength: undefined,
        });
        injection.applyTo(headers);
        const up = `${stripQuery(queryText) ?? ""}\n${headers.join("\n")}`;
        assert.equal(up.toLowerCase().includes(TOKEN.toLowerCase()), false, up);
        assert.equal(decodedLoosely(up).includes(PROXY_TOKEN_PREFIX), false, up);
        const names = headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
        assert.deepEqual(
          names.filter(
            (name) => /key|authorization|cookie/.test(name) && SLOTS.has(name.replaceAll("_", "-")),
          ),
          ["x-acme-key"],
        );
        assert.equal(headers.at(-1), FAKE_KEY);
        assert.equal(names.filter((name) => name === "via").length, 1);
      },
    ),
    { numRuns: 20_000, interruptAfterTimeLimit: 20_000 },
  );
  assert.ok(passed > 2_000, `only ${passed} runs got past the slots`);
});

test("the same on the wire: what is answered with 200 went up clean", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  const own = (text: string): string => text.replaceAll(TOKEN, token);
  let passed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 4 }),
      query,
      async (fields, queryText) => {
        const { status } = await ask([
          `GET /openai/v1/models${queryText === undefined ? "" : `?${own(queryText)}`} HTTP/1.1`,
          "Host: proxy",
          "Connection: close",
          ...fields
            .filter(([name]) => !/^(?:host|connection)$/i.test(name))
            .map(([name, value]) => own(`${name}: ${value}`)),
          `X-Api-Key: ${token}`,
        ]);
        const up = sent();
        assert.equal(up !== "", status === 200);
        if (status !== 200) return;
        passed++;
        const plain = decodedLoosely(up);
        assert.equal(plain.toLowerCase().includes(token.toLowerCase()), false, up);
        assert.equal(plain.includes(PROXY_TOKEN_PREFIX), false, up);
        assert.deepEqual(
          up.match(/^(?:(?:proxy-)?authorization|cookie|(?:x[_-]|xi-|x-goog-)?api[_-]key):.*$/gim),
          [`authorization: Bearer ${FAKE_KEY}`],
        );
      },
    ),
    { numRuns: 300, interruptAfterTimeLimit: 20_000 },
  );
  assert.ok(passed > 20, `only ${passed} runs got past the slots`);
});

test("a query without a slot stays byte for byte", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9=%+&;_.~!*'()/?:@-]{0,40}$/), (text) => {
      fc.pre(!/key|token|authorization|signature|credential/i.test(decodedLoosely(text)));
      assert.equal(stripQuery(text), text);
    }),
    { numRuns: 5_000 },
  );
});

const SLOTS = new Set(
  "authorization proxy-authorization cookie x-api-key api-key x-goog-api-key xi-api-key x-acme-key".split(
    " ",
  ),
);

function decodedLoosely(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
}
