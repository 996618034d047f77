// The side doors that gateways and frameworks have, and spellings of them.
import assert from "node:assert/strict";
import fc from "fast-check";
import { FOREIGN_KEY, type Target } from "../support/attack.ts";

interface Runs {
  readonly seed?: number;
  readonly numRuns: number;
}

const MARK = "FAKE-SIDE-DOOR";

/** Taken by servers of what stands in the query: the request is refused, since without it it would be another one. */
const OVERRIDES = [
  "$httpMethod",
  "httpMethod",
  "$httpHeaders",
  "$ct",
  "$req",
  "_method",
  "__method",
  ".method",
  "X-HTTP-Method-Override",
  "X-HTTP-Method",
  "X-Method-Override",
  "method_override",
  "X-Original-Method",
  "X-Original-URL",
  "X-Rewrite-URL",
];

const CREDENTIALS = [
  "bearer_token",
  "access_token",
  "$access_token",
  "oauth_token",
  "$oauth_token",
  "auth_token",
  "api_token",
  "id_token",
  "client_secret",
  "key",
  "$key",
  "X-Amz-S3session-Token",
  "AWSAccessKeyId",
  "X-Goog-Credential",
  "GoogleAccessId",
];

/** What a gateway writes for those behind it: dropped, since honest proxies on the way to us write them, too. */
const REWRITES = [
  "X-Envoy-Original-Path",
  "X-Envoy-Original-Method",
  "X-Envoy-Original-Dst-Host",
  "X-Envoy-Internal",
  "X-Original-Method",
  "X-Original-Path",
  "X-Original-URL",
  "X-Original-Forwarded-For",
  "X-Original-Authorization",
  "X-Forwarded-Method",
  "X-Forwarded-Path",
  "X-Forwarded-Client-Cert",
  "X-Forwarded-Authorization",
  "X-Rewrite-URL",
  "X-Rewrite-Path",
  "X-HTTP-Method-Override",
  "X-HTTP-Path-Override",
  "X-HTTP-DestinationURL",
  "X-Method-Override",
  "X-Host-Override",
  "X-WAWS-Unencoded-URL",
  "X-ARR-ClientCert",
  "X-Middleware-Rewrite",
  "X-Middleware-Subrequest",
  "X-Invoke-Path",
  "X-Matched-Path",
  "X-Accel-Mapping",
  "X-AppEngine-User-Email",
  "X-ApiGateway-Event",
  "X-MS-Original-URL",
  "X-MS-Client-Principal",
  "X-MS-Client-Principal-Id",
  "X-MS-Token-AAD-Access-Token",
  "X-Amzn-Oidc-Data",
  "X-Goog-IAP-JWT-Assertion",
  "X-Goog-Authenticated-User-Email",
  "X-Endpoint-API-UserInfo",
  "X-Fal-Target-URL",
  "X-Goog-Upload-Header-Authorization",
  "X-Goog-Upload-Header-X-HTTP-Method-Override",
  "Client-Cert",
  "X-Client-IP",
  "True-Client-IP",
  // Credentials that no provider's API takes from an agent.
  "X-Amz-Security-Token",
  "X-Amz-S3session-Token",
  "X-MS-Authorization-Auxiliary",
  "X-Goog-IAM-Authorization-Token",
];

/** Credentials that some provider takes beside its own: refused, as in any slot. */
const SLOTS = [
  "X-Fireworks-Api-Key",
  "X-FireRouter-Fireworks-Key",
  "X-Anthropic-Api-Key",
  "X-OpenAI-Api-Key",
  "X-ApiKey",
  "X-Serverless-Authorization",
  "X-MS-Copy-Source-Authorization",
];

const anyCase = (name: string): fc.Arbitrary<string> =>
  fc
    .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
    .map((upper) =>
      Array.from(name, (c, i) => (upper[i] === true ? c.toUpperCase() : c.toLowerCase())).join(""),
    );
/** A field's name in other letters, and with another sign for the dash, as behind a CGI-like interface it may be. */
const fieldSpelling = (names: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...names).chain(anyCase), fc.constantFrom("-", "-", "_", "."))
    .map(([name, dash]) => name.replaceAll("-", dash));
/** A parameter's name with some of it encoded, once or twice, with what PHP and others take for a list behind it. */
const parameterSpelling = (names: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom(...names).chain(anyCase),
      fc.constantFrom(0, 0, 1, 2),
      fc.nat({ max: 40 }),
      fc.constantFrom("", "", "[]", "%5B%5D", "%5b0%5d"),
      fc.constantFrom("", "", "+", "%20"),
    )
    .map(([name, times, at, list, space]) => {
      const i = at % name.length;
      let sign = name.charAt(i);
      for (let n = 0; n < times; n++) {
        sign = n === 0 ? `%${sign.charCodeAt(0).toString(16)}` : sign.replaceAll("%", "%25");
      }
      return space + name.slice(0, i) + sign + name.slice(i + 1) + list;
    });
const around = fc
  .tuple(
    fc.constantFrom("", "a=1&", "a=1;", "alt=sse&&", "%zz&"),
    fc.constantFrom("", "&b=2", ";b"),
  )
  .map(
    ([before, after]) =>
      (text: string) =>
        before + text + after,
  );

/** Throws when a parameter of the query that says another method or brings another credential is not refused. `target`: of OpenAI. */
export async function checkParameters(target: Target, o: Runs): Promise<void> {
  const { ask, sent, token } = target;
  const cases = fc.oneof(
    parameterSpelling(OVERRIDES).map((name) => ({ name, refusal: "bad_query" })),
    parameterSpelling(CREDENTIALS).map((name) => ({ name, refusal: "foreign_credential" })),
  );
  await fc.assert(
    fc.asyncProperty(cases, around, async ({ name, refusal }, put) => {
      const query = put(`${name}=${MARK}`);
      const { status, header, text } = await ask([
        `GET /openai/v1/models?${query} HTTP/1.1`,
        `Authorization: Bearer ${token}`,
      ]);
      assert.equal(header("x3sproxy-refusal"), refusal, query);
      assert.equal(status, refusal === "bad_query" ? 400 : 401, query);
      assert.equal(text.includes(MARK), false);
    }),
    o,
  );
  assert.equal(sent(), "");
}

/** Throws when a field that says another call or brings another credential goes up. `target`: of OpenAI. */
export async function checkFields(target: Target, o: Runs): Promise<void> {
  const { ask, sent, token } = target;
  const get = (fields: readonly string[]) =>
    ask(["GET /openai/v1/models HTTP/1.1", `Authorization: Bearer ${token}`, ...fields]);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fieldSpelling(REWRITES), { minLength: 1, maxLength: 6 }),
      async (names) => {
        const fields = names.map((name) => `${name}: ${MARK}`);
        assert.equal((await get(fields)).status, 200, fields.join());
        const up = sent();
        assert.match(up, /^GET \/v1\/models HTTP\/1.1\r\n/);
        assert.equal(up.includes(MARK), false, up);
      },
    ),
    o,
  );
  await fc.assert(
    fc.asyncProperty(fieldSpelling(SLOTS), async (name) => {
      const { header, text } = await get([`${name}: ${FOREIGN_KEY}`]);
      assert.equal(header("x3sproxy-refusal"), "foreign_credential", name);
      assert.equal(text.includes("FAKE"), false);
      // Ours is found there, and goes no further.
      assert.equal((await get([`${name}: ${token}`])).status, 200, name);
      assert.equal(sent().includes(token), false, name);
    }),
    o,
  );
  assert.equal(sent(), "");
}
