// What is taken to be no wider than its bounds lets no call through that they refuse, asked of the code that judges calls.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { partsBeyond, type ScopeBounds } from "../../src/agents/demands.ts";
import { canonicalRule } from "../../src/scopes/path-rules.ts";
import type { AgentScope } from "../../src/agents/scope-change.ts";
import { admissionOf, compileScope, refusalOf } from "../../src/scopes/scope.ts";
import { inputs } from "../support/generated.ts";

const SEED = 20_261_130;
const PROVIDERS = ["openai", "anthropic"];
const ENVIRONMENTS = ["production", "staging"];
const ENDPOINTS = ["openai:vaults", "anthropic:admin"];
const BLOCKS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "::/0", "2001:db8::/32"];
const ADDRESSES = ["10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1", "2001:db8::1", "2001:db9::1"];
const MODELS = ["gpt-5", "gpt-*", "*", "g*5", "*-5", "claude-*", "claude-fable", "c*e"];
const NAMES = ["gpt-5", "gpt-5-mini", "gem-5", "claude-fable", "claude-5", "cafe"];
const ENDS = ["2026-01-01T00:00:00.000Z", "2030-01-01T00:00:00.000Z"];
const NOW_MS = [Date.parse("2025-06-01"), Date.parse("2027-06-01"), Date.parse("2031-06-01")];

const maybe = <T>(each: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(each, { freq: 4 });
const some = (of: readonly string[]) => fc.subarray([...of]);
const segments = (of: readonly string[]) =>
  fc.array(fc.constantFrom(...of), { maxLength: 3 }).map((parts) => parts.join("/"));
const rule = fc
  .tuple(
    fc.constantFrom("", "", "!"),
    fc.constantFrom("*", "GET", "POST", "HEAD"),
    fc.constantFrom("openai", "anthropic", "*"),
    segments(["v1", "files", "*", "**", "a"]),
  )
  .map(
    ([not, method, provider, path]) => canonicalRule(`${not}${method} /${provider}/${path}`) ?? "",
  );
const count = fc.constantFrom(1, 10, 100);
const limits = fc.record({
  requestsPerMinute: maybe(count),
  openStreams: maybe(count),
  bytesPerMinute: maybe(count),
});
const parts = {
  providers: maybe(some(PROVIDERS)),
  rules: maybe(
    fc.uniqueArray(
      rule.filter((text) => text !== ""),
      { maxLength: 4 },
    ),
  ),
  allowedEndpoints: some(ENDPOINTS),
  addresses: maybe(some(BLOCKS)),
  models: maybe(some(MODELS)),
  scopeExpiresAt: maybe(fc.constantFrom(...ENDS)),
  limits,
};
const bounds: fc.Arbitrary<ScopeBounds> = fc.record({
  ...parts,
  environments: maybe(fc.subarray(ENVIRONMENTS, { minLength: 1 })),
});
const fresh: fc.Arbitrary<AgentScope> = fc.record({
  ...parts,
  environment: fc.constantFrom(...ENVIRONMENTS),
});
// Most scopes by chance have something beyond: these begin with the bounds, and are another in a part or two.
const pair = fc
  .tuple(bounds, fresh, fc.subarray(Object.keys(parts), { maxLength: 2 }))
  .map(([outer, other, changed]) => {
    const { environments, ...rest } = outer;
    const environment = environments?.[0] ?? other.environment;
    const own = Object.fromEntries(changed.map((part) => [part, other[part as keyof AgentScope]]));
    return [outer, { ...rest, environment, ...own } satisfies AgentScope] as const;
  });

const METHODS = ["GET", "HEAD", "POST", "DELETE"];
const PATHS = [
  "/",
  "/v1",
  "/v1/files",
  "/files/a",
  "/v1/files/a",
  "/a",
  "/v1%2Ffiles",
  "/a%3fv1",
  "/v1/a%2fb",
];
const CALLS = PROVIDERS.flatMap((provider) =>
  METHODS.flatMap((method) =>
    PATHS.flatMap((path) =>
      [undefined, ...ENDPOINTS].map((sensitiveEndpoint) => ({
        ...{ provider, method, path, sensitiveEndpoint },
      })),
    ),
  ),
);

/** Everything of the samples that a scope lets through. */
function allowed(scope: Omit<AgentScope, "environment">): Set<string> {
  const { limits: each, scopeExpiresAt: endsAt, ...fields } = scope;
  const { providers, rules, allowedEndpoints, addresses, models } = fields;
  const compiled = compileScope({
    ...{ providers, rules, allowedEndpoints, addresses, models },
    expiresAtMs: endsAt === null ? null : Date.parse(endsAt),
  });
  return new Set([
    ...CALLS.filter((call) => refusalOf(compiled, call) === undefined).map((it) =>
      JSON.stringify(it),
    ),
    ...ADDRESSES.flatMap((address) =>
      NOW_MS.filter((nowMs) => admissionOf(compiled, address, nowMs) === undefined).map(
        (nowMs) => `${address} at ${nowMs}`,
      ),
    ),
    ...NAMES.filter((name) => compiled.models?.(name) !== false),
    ...Object.entries(each).flatMap(([name, most]) =>
      [1, 10, 100, 1000].filter((n) => most === null || n <= most).map((n) => `${n} ${name}`),
    ),
  ]);
}

test("no call passes a scope that fits and is refused by its bounds", () => {
  let fitted = 0;
  fc.assert(
    fc.property(pair, ([outer, scope]) => {
      if (partsBeyond(outer, scope).length > 0) return;
      fitted++;
      assert.ok(outer.environments?.includes(scope.environment) !== false);
      const most = allowed(outer);
      for (const each of allowed(scope)) assert.ok(most.has(each), each);
    }),
    inputs(SEED, 1500),
  );
  assert.ok(fitted > 200, `${fitted} fitted`);
});

test("what is narrower in a way that can be told is no demand", () => {
  const outer: ScopeBounds = {
    environments: ["production", "staging"],
    providers: ["openai", "anthropic"],
    rules: ["* /openai/**", "!* /openai/v1/files/**"],
    allowedEndpoints: [],
    addresses: ["10.0.0.0/8"],
    models: ["gpt-*"],
    scopeExpiresAt: null,
    limits: { requestsPerMinute: 60, openStreams: null, bytesPerMinute: null },
  };
  const same: AgentScope = { ...outer, environment: "staging" };
  for (const change of [
    {},
    { providers: [] },
    { providers: ["openai"] },
    { rules: ["POST /openai/v1/responses"] },
    { rules: ["* /openai/**", "!* /openai/v1/files/**", "!* /openai/v1/batches/**"] },
    { addresses: ["10.1.0.0/16"] },
    { models: ["gpt-5", "gpt-5-*"] },
    { scopeExpiresAt: "2030-01-01T00:00:00.000Z" },
    { limits: { requestsPerMinute: 6, openStreams: 1, bytesPerMinute: 1 } },
  ]) {
    assert.deepEqual(partsBeyond(outer, { ...same, ...change }), [], JSON.stringify(change));
  }
  const wider: readonly (readonly [part: string, change: Partial<AgentScope>])[] = [
    ["environment", { environment: "live" }],
    ["rules", { rules: ["GET /openai/v1/files/x"] }],
    ["rules", { rules: ["* /openai/**"] }],
    ["rules", { rules: null }],
    ["models", { models: ["*"] }],
    ["addresses", { addresses: ["10.0.0.0/7"] }],
    ["addresses", { addresses: ["::a00:0/104"] }],
    ["requestsPerMinute", { limits: { ...same.limits, requestsPerMinute: null } }],
  ];
  for (const [part, change] of wider) {
    assert.deepEqual(partsBeyond(outer, { ...same, ...change }), [part], JSON.stringify(change));
  }
});

test("a rule for GET fits where HEAD, which it takes, is not taken away", () => {
  const rules = ["GET /openai/v1/**", "!HEAD /openai/v1/a"];
  const one = (rule: string) => ({ ...open(), environment: "production", rules: [rule] });
  assert.deepEqual(partsBeyond({ ...open(), rules }, one("GET /openai/v1/a")), ["rules"]);
  assert.deepEqual(partsBeyond({ ...open(), rules }, one("GET /openai/v1/b")), []);
});

test("lists of nasty patterns are compared at once, however long they are", () => {
  for (const length of [44, 200]) {
    const list = (of: (n: number) => string) => Array.from({ length }, (_, n) => of(n));
    const models = list((n) => `${"*a".repeat(90)}${n}`);
    const rules = list((n) => `GET /openai${"/**/a".repeat(50)}/${n}`);
    const startedMs = performance.now();
    const beyond = partsBeyond(
      { ...open(), models, rules },
      {
        ...{ ...open(), environment: "production" },
        models: models.map((text) => `${text}b`),
        rules: list((n) => `GET /openai${"/a".repeat(130)}/x${n}`),
      },
    );
    assert.deepEqual(beyond, ["rules", "models"]);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 500, `${length}: ${tookMs} ms`);
  }
});

function open(): ScopeBounds {
  return {
    ...{ environments: null, providers: null, rules: null, addresses: null, models: null },
    allowedEndpoints: [],
    scopeExpiresAt: null,
    limits: { requestsPerMinute: null, openStreams: null, bytesPerMinute: null },
  };
}
