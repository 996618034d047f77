// A dry run's verdict on a call is what the data plane answers to that call once the scope holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import postgres from "postgres";
import { createScopeTrials, type ScopeChange } from "../../src/agents/index.ts";
import { createCallViews } from "../../src/activity/index.ts";
import { systemClock } from "../../src/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { builtInProviders } from "../../src/providers/index.ts";
import { openTarget } from "../support/attack.ts";
import { eventually } from "../support/eventually.ts";

const PROVIDERS = ["openai", "anthropic", "mistral"];
const ADDRESSES = ["203.0.113.7", "198.51.100.9", "2001:db8::1", "2001:db8:5::9", "nonsense"];
const SENSITIVE = PROVIDERS.flatMap((provider) =>
  (builtInProviders.get(provider)?.sensitiveEndpoints ?? []).map((it) => ({
    name: `${provider}:${it.name}`,
    method: it.method === "*" ? "POST" : it.method,
    path: `/${provider}${(it.paths[0] ?? "").replace("/**", "/x/y").replaceAll("*", "id-1")}`,
  })),
);

interface Call {
  readonly method: string;
  /** As the client writes it. */
  readonly path: string;
  readonly from: string;
}

const segment = fc.constantFrom(
  "v1",
  "V1",
  "files",
  "f%69les",
  "models",
  "messages",
  "file-1;x=y",
  "gpt.",
  "é",
  "a b",
  // Each of these has several readings.
  "arn:aws:x%2Fmodels",
  "models%3Ffiles",
  "files%23x",
);
const method = fc.constantFrom("GET", "POST", "DELETE", "HEAD", "PUT");
const plainPath = fc
  .tuple(
    fc.constantFrom(...PROVIDERS),
    fc.array(segment, { maxLength: 4 }),
    fc.constantFrom("", "/", "//"),
  )
  .map(([provider, segments, end]) =>
    encodeURI(`/${[provider, ...segments].join("/")}${end}`).replaceAll("%25", "%"),
  );
const place = fc.oneof(
  { weight: 3, arbitrary: fc.record({ method, path: plainPath }) },
  fc.constantFrom(...SENSITIVE).map((it) => ({ method: it.method, path: it.path })),
);
const calls: fc.Arbitrary<Call[]> = fc.array(
  fc.tuple(place, fc.constantFrom(...ADDRESSES)).map(([it, from]) => ({ ...it, from })),
  { minLength: 60, maxLength: 60 },
);

const ruleSegment = fc.constantFrom(
  "v1",
  "files",
  "models",
  "*",
  "**",
  "file-*",
  "messages",
  "x",
  "arn:*",
);
const rule = fc
  .tuple(
    fc.constantFrom("", "", "", "!"),
    fc.constantFrom("*", "GET", "POST", "DELETE"),
    fc.constantFrom(...PROVIDERS, "*", "m*"),
    fc.array(ruleSegment, { maxLength: 3 }),
  )
  .map(
    ([denies, verb, provider, segments]) =>
      `${denies}${verb} /${[provider, ...segments].join("/")}`,
  );
const listOf = <T>(items: fc.Arbitrary<T>, minLength = 0) =>
  fc.array(items, { minLength, maxLength: 5 });
const scope: fc.Arbitrary<ScopeChange> = fc.record({
  providers: fc.option(listOf(fc.constantFrom(...PROVIDERS), 1)),
  rules: fc.option(listOf(fc.oneof(rule, fc.constant("* /**"))), { freq: 3 }),
  allowedEndpoints: listOf(fc.constantFrom(...SENSITIVE.map(({ name }) => name))),
  addresses: fc.option(
    listOf(fc.constantFrom("203.0.113.0/24", "2001:db8::/48", "198.51.100.9", "::/0"), 1),
  ),
  scopeExpiresAt: fc.option(
    fc.constantFrom(
      "2020-01-01T00:00:00.000Z",
      "2100-01-01T00:00:00.000Z",
      "2100-01-01T00:00:00.000Z",
    ),
  ),
});

test("whatever the scope and the calls", async (t) => {
  const { plane, ask } = await openTarget(t, {
    providers: PROVIDERS,
    env: { X3SPROXY_TRUSTED_PROXIES: "127.0.0.1" },
  });
  const pool = createPool(plane.database.controlUrl);
  const owner = postgres(plane.ownerUrl, { max: 1 });
  t.after(() => Promise.all([pool.close(), owner.end()]));
  const trials = createScopeTrials({ pool, clock: systemClock });
  const views = createCallViews({ pool, clock: systemClock });
  const answerTo = async (token: string, { method: verb, path, from }: Call): Promise<string> => {
    const answer = await ask([
      `${verb} ${path} HTTP/1.1`,
      `Authorization: Bearer ${token}`,
      `X-Forwarded-For: ${from}`,
      ...(verb === "GET" || verb === "HEAD" ? [] : ["Content-Length: 0"]),
    ]);
    return answer.header("x3sproxy-refusal") ?? String(answer.status);
  };
  const free = await plane.deploy("free", { allowedEndpoints: SENSITIVE.map(({ name }) => name) });
  const [made = []] = fc.sample(calls, 1);
  for (const call of made) assert.equal(await answerTo(free, call), "200", JSON.stringify(call));
  const recorded = async (): Promise<number> => {
    const [row] = await owner<{ sum: number }[]>`
      select coalesce(sum(requests), 0)::float8 as sum from x3sproxy.activity_calls`;
    return row?.sum ?? 0;
  };
  await eventually(async () => (await recorded()) === made.length);

  const seen = new Set<string>();
  let scopes = 0;
  await fc.assert(
    fc.asyncProperty(scope, async (change) => {
      const trial = await trials.begin(plane.workspaceId, "free", change);
      const { counts } = await views.lastDay(plane.workspaceId, trial.agentId);
      const expected = new Map<string, number>();
      for (const { calls: count, ...call } of counts) {
        const verdict = trial.judge(call) ?? "200";
        seen.add(verdict);
        expected.set(verdict, (expected.get(verdict) ?? 0) + count);
      }
      const token = await plane.deploy(`agent-${scopes++}`, change);
      const actual = new Map<string, number>();
      for (const call of made) {
        const answer = await answerTo(token, call);
        actual.set(answer, (actual.get(answer) ?? 0) + 1);
      }
      const sorted = (of: Map<string, number>) => [...of].sort();
      assert.deepEqual(sorted(expected), sorted(actual));
    }),
    { numRuns: 25 },
  );
  for (const verdict of [
    "200",
    "address_not_allowed",
    "provider_not_allowed",
    "path_not_allowed",
    "sensitive_endpoint",
    "scope_expired",
  ]) {
    assert.ok(seen.has(verdict), `no call was ever ${verdict}`);
  }
});
