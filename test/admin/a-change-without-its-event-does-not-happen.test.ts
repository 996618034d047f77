// Every route that changes something, once with an audit that takes nothing: the database stays as it is, in each of its tables. And
// once more with a sound one, where each does something: else the first would show nothing. Then no event holds any of the secrets. Nor
// does anything change when the database is too slow for a route, which is answered by 503.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newIdentity } from "../../src/backup/index.ts";
import { openClient } from "../../src/db/connection.ts";
import { newBearer, hashBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { findLeaks } from "../e2e/leaks.ts";
import { breakAudit } from "../support/broken-audit.ts";
import { createHurriedPool, type HurriedPool } from "../support/hurried-pool.ts";
import { stringAt } from "./fixture.ts";
import { createPhone, openPeople, PASSWORD, tokenOf, type Browser } from "./people.ts";

/** What the limits on guessing count is no change that anybody makes. */
const NO_CHANGE = ["account_attempts"];
/** Routes that only ask, though not by GET. */
const ASK = ["POST /links/look", "POST /agents/:name/scope/dry-run"];
/** Routes that are meant to change something without an event. A lease is renewed each half minute, within what it is. */
const UNRECORDED = ["PUT /agents/:name/leases/:id"];
/** Routes that change nothing else. */
const ONLY_RECORDED = ["POST /secrets/:id/test", "POST /backups"];
const FAKE_KEY = "FAKE-key-of-a-change-4f1Zq0-wxyz";
const NEW_PASSWORD = "a few other fake random words";

interface Change {
  readonly route: string;
  /** Replaces the route's parameters, in order. */
  readonly names?: readonly string[];
  readonly body?: () => object;
  /** By default the first owner. */
  readonly by?: Browser;
  /** What has to be so before. */
  readonly given?: () => Promise<unknown>;
}

test("each changing route, and the trade of a registration", async (t) => {
  const slowly = Promise.withResolvers<HurriedPool>();
  const openPool = (controlUrl: string): HurriedPool => {
    const pool = createHurriedPool(controlUrl);
    slowly.resolve(pool);
    return pool;
  };
  const people = await openPeople(t, { openPool });
  const { first, browse, join, enrol, nextCode, owner, database, routes, ageProofs } = people;
  const secrets = new Set([FAKE_KEY, PASSWORD, NEW_PASSWORD, people.apiKey, people.setupToken]);
  const keepSecrets = (text: string): void => {
    for (const [bearer] of text.matchAll(/x3s[a-z]+_[\w-]{32,}/g)) {
      secrets.add(bearer).add(hashBearer(bearer));
    }
  };
  const post = async (path: string, body: object = {}) => {
    const answer = await first.call("POST", path, body);
    assert.ok(answer.status < 300, `${path}: ${answer.text}`);
    keepSecrets(answer.text);
    return answer;
  };
  const put = async (path: string, body: object) => {
    const answer = await first.call("PUT", path, body);
    assert.ok(answer.status < 300, `${path}: ${answer.text}`);
    return answer;
  };

  const secret = { provider: "mistral", value: FAKE_KEY, skipTest: true };
  await put("/secrets", secret);
  const secretId = stringAt(await put("/secrets", secret), "secret", "id");
  /** A secret with version 2 as its candidate: nobody answers for the provider. */
  const withCandidate = async (environment: string) => {
    const place = { provider: "mistral", environment, value: FAKE_KEY };
    const id = stringAt(await put("/secrets", { ...place, skipTest: true }), "secret", "id");
    assert.equal((await first.call("PUT", "/secrets", place)).status, 409);
    return id;
  };
  const activated = await withCandidate("activated");
  const discarded = await withCandidate("discarded");
  await put("/providers/ours", { origin: "https://ours.example" });
  await put("/providers/gone", { origin: "https://gone.example" });
  for (const name of ["a", "suspended", "destroyed"]) {
    await post(`/agents/${name}/deployments`, { environment: name });
  }
  await post("/agents/suspended/suspend");
  const registration = await post("/agents/a/registrations");
  const lease = await post("/agents/a/leases");
  const plain = await join("plain@example.test", "operator");
  const enrolled = await join("enrolled@example.test", "operator");
  const { phone, recoveryCodes } = await enrol(enrolled.browser);
  for (const text of [phone.seed, ...recoveryCodes]) secrets.add(text);
  const other = browse();
  await other.signIn("plain@example.test");
  const sessions = (await plain.browser.call("GET", "/me/sessions")).body["sessions"] as {
    id: string;
    current: boolean;
  }[];
  const otherSession = sessions.find(({ current }) => !current)?.id ?? assert.fail();
  const leaver = await join("leaver@example.test", "viewer");
  const left = await join("left@example.test", "viewer");
  const invite = (name: string) =>
    post("/invitations", { email: `${name}@example.test`, role: "viewer" });
  const invited = tokenOf(await invite("invited"));
  const withdrawn = stringAt(await invite("withdrawn"), "invitation", "id");
  const reset = tokenOf(await post(`/users/${left.id}/reset`));
  const apiKey = stringAt(
    await post("/api-keys", { name: "ours", role: "viewer" }),
    "apiKey",
    "id",
  );
  const second = await post("/workspaces", { name: "second" });
  const setup = /#token=(\w+)/.exec(stringAt(second, "url"))?.[1] ?? "";
  const third = stringAt(await post("/workspaces", { name: "third" }), "workspace", "id");
  const { recipient } = await newIdentity();
  const newPhone = createPhone();
  secrets.add(newPhone.seed);

  const changes: readonly Change[] = [
    { route: "PUT /secrets", body: () => secret },
    { route: "POST /secrets/:id/test", names: [secretId] },
    { route: "POST /secrets/:id/rollback", names: [secretId], body: () => ({ version: 1 }) },
    { route: "POST /secrets/:id/activate", names: [activated], body: () => ({ version: 2 }) },
    { route: "POST /secrets/:id/discard", names: [discarded], body: () => ({ version: 2 }) },
    { route: "DELETE /secrets/:id", names: [secretId] },
    {
      route: "PUT /providers/:name",
      names: ["ours"],
      body: () => ({ origin: "https://b.example" }),
    },
    { route: "DELETE /providers/:name", names: ["gone"] },
    {
      route: "DELETE /agents/:name/registrations/:id",
      names: ["a", stringAt(registration, "registration", "id")],
    },
    { route: "POST /agents/:name/registrations", names: ["a"], body: () => ({}) },
    {
      route: "DELETE /agents/:name/leases/:id",
      names: ["a", stringAt(lease, "lease", "id")],
    },
    { route: "POST /agents/:name/leases", names: ["a"], body: () => ({}) },
    {
      route: "PATCH /agents/:name/scope",
      names: ["a"],
      body: () => ({ models: ["claude-*"] }),
    },
    { route: "POST /agents/:name/suspend", names: ["a"] },
    { route: "POST /agents/:name/resume", names: ["suspended"] },
    { route: "POST /agents/:name/deployments", names: ["a"], body: () => ({}) },
    { route: "DELETE /agents/:name", names: ["destroyed"] },
    { route: "PATCH /workspace/new-agents", body: () => ({ providers: ["openai"] }) },
    { route: "PATCH /environments/:name", names: ["a"], body: () => ({ name: "renamed" }) },
    { route: "POST /workspace/suspend" },
    {
      route: "POST /workspace/resume",
      given: () => owner`update x3sproxy.workspaces set agents_suspended_at = now() where home`,
    },
    { route: "PATCH /workspace", body: () => ({ rotationDays: 30 }) },
    { route: "POST /workspaces", body: () => ({ name: "made" }) },
    { route: "POST /workspaces/:id/setup-link", names: [third] },
    { route: "DELETE /workspaces/:id", names: [third], body: () => ({ name: "third" }) },
    {
      route: "POST /setup",
      by: browse(),
      body: () => ({ token: setup, email: "second@example.test", password: PASSWORD }),
    },
    { route: "PATCH /users/:id", names: [leaver.id], body: () => ({ role: "operator" }) },
    { route: "POST /users/:id/reset", names: [leaver.id], body: () => ({}) },
    { route: "DELETE /users/:id", names: [leaver.id] },
    { route: "POST /invitations", body: () => ({ email: "new@example.test", role: "viewer" }) },
    { route: "DELETE /invitations/:id", names: [withdrawn] },
    {
      route: "POST /invitations/accept",
      by: browse(),
      body: () => ({ token: invited, password: PASSWORD }),
    },
    {
      route: "POST /resets/accept",
      by: browse(),
      body: () => ({ token: reset, password: NEW_PASSWORD }),
    },
    { route: "POST /api-keys", body: () => ({ name: "made", role: "viewer" }) },
    { route: "DELETE /api-keys/:id", names: [apiKey] },
    {
      route: "POST /sign-in",
      by: browse(),
      body: () => ({ email: "plain@example.test", password: PASSWORD }),
    },
    {
      route: "POST /me/proof",
      by: plain.browser,
      given: () => ageProofs("4 minutes"),
      body: () => ({ password: PASSWORD }),
    },
    { route: "DELETE /me/sessions/:id", names: [otherSession], by: plain.browser },
    { route: "DELETE /me/sessions", by: plain.browser },
    {
      route: "PUT /me/second-factor",
      by: plain.browser,
      body: () => ({ seed: newPhone.seed, code: nextCode(newPhone) }),
    },
    {
      route: "PUT /me/password",
      by: plain.browser,
      body: () => ({ current: PASSWORD, password: NEW_PASSWORD }),
    },
    { route: "POST /me/recovery-codes", by: enrolled.browser },
    { route: "DELETE /me/second-factor", by: enrolled.browser },
    { route: "POST /sign-out", by: plain.browser },
    { route: "POST /audit/erasures", body: () => ({ user: "withdrawn@example.test" }) },
    { route: "POST /backups", body: () => ({ recipients: [recipient] }) },
    // Last: what comes after it would be sealed under a key that there isn't.
    { route: "POST /master-keys/rotation", body: () => ({ to: "fa4e".repeat(4) }) },
  ];
  await owner`
    insert into x3sproxy.master_keys (key_id, check_value) values (${"fa4e".repeat(4)}, 'fake')`;
  await people.sequencer.run(); // so that the erasure has nothing to seal
  const changing = routes
    .map(({ method, path }) => `${method} ${path}`)
    .filter((route) => !route.startsWith("GET ") && !ASK.includes(route));
  assert.deepEqual(
    changes.map(({ route }) => route).toSorted(),
    changing.filter((route) => !UNRECORDED.includes(route)).toSorted(),
    "a new route has to be added here",
  );

  const tables = (
    await owner<{ name: string }[]>`
      select relname as name from pg_class where relnamespace = 'x3sproxy'::regnamespace and relkind = 'r' order by 1`
  )
    .map(({ name }) => name)
    .filter((name) => !NO_CHANGE.includes(name));
  assert.ok(tables.includes("audit_events") && tables.length > 20);
  const whole = tables
    .map(
      (name) =>
        `select '${name}' as name, md5(string_agg(t::text, ' ' order by t::text)) as rows from x3sproxy.${name} t`,
    )
    .join(" union all ");
  const state = async () =>
    Object.fromEntries(
      (await owner.unsafe<{ name: string; rows: string | null }[]>(whole)).map((it) => [
        it.name,
        it.rows,
      ]),
    );
  const make = async ({ route, names = [], body, by = first }: Change) => {
    const [method = "", path = ""] = route.split(" ");
    const left = [...names];
    const named = path.replace(/:[a-z]+/g, () => left.shift() ?? assert.fail(route));
    const answer = await by.call(method, named, body?.());
    keepSecrets(answer.text + (by.cookie() ?? ""));
    return answer;
  };

  const link = await slowly.promise;
  await link.hurry();
  const beforeSlowness = await state();
  await Promise.all(
    changes.map(async (change) => {
      const { status, text } = await make(change);
      assert.equal(status, 503, `${change.route}: ${text}`);
    }),
  );
  await link.relax();
  assert.deepEqual(await state(), beforeSlowness, "what was given up was done all the same");

  const heal = await breakAudit(database.ownerUrl);
  for (const change of changes) {
    await change.given?.();
    const before = await state();
    const { status, text } = await make(change);
    assert.ok(status >= 500, `${change.route}: ${status} ${text}`);
    assert.deepEqual(await state(), before, change.route);
  }
  const proxy = openClient(database.proxyUrl, { max: 1, statementTimeoutMs: 0 });
  t.after(() => proxy.destroy());
  const hash = Buffer.from(hashBearer(stringAt(registration, "token")), "hex");
  const trade = (newToken = newBearer(PROXY_TOKEN_PREFIX)) =>
    proxy.sql<{ row: unknown }[]>`
      select x3sproxy.trade_registration(${hash}, ${Buffer.from(hashBearer(newToken), "hex")}, null) as row`;
  await owner`update x3sproxy.workspaces set agents_suspended_at = null`;
  const before = await state();
  await assert.rejects(trade());
  assert.deepEqual(await state(), before, "the trade of a registration");
  await heal();

  assert.notEqual((await trade())[0]?.row, null);
  await assert.rejects(
    breakAudit(database.ownerUrl).then(async (again) => {
      try {
        await trade();
      } finally {
        await again();
      }
    }),
    /no room in the audit/,
    "nor is its refusal told before it is written down",
  );
  for (const change of changes) {
    await change.given?.();
    if (
      change.route === "DELETE /agents/:name/registrations/:id" ||
      change.route === "DELETE /agents/:name/leases/:id"
    ) {
      continue; // the trade has ended them
    }
    const before = await state();
    const { status, text } = await make(change);
    assert.ok(status < 300, `${change.route}: ${status} ${text}`);
    const changed = Object.entries(await state()).filter(([name, rows]) => rows !== before[name]);
    const names = changed.map(([name]) => name);
    assert.ok(names.includes("audit_events"), `${change.route}: ${names.join(", ")}`);
    assert.ok(names.length > 2 || ONLY_RECORDED.includes(change.route), change.route);
  }

  const events = await owner<{ text: string }[]>`
    select e::text as text from x3sproxy.audit_events e`;
  assert.ok(
    events.length > 60 && secrets.size > 40,
    `${events.length} events, ${secrets.size} secrets`,
  );
  const bytes = Buffer.from(events.map(({ text }) => text).join("\n"));
  const watched = [...secrets].map((text, i) => ({ name: `secret ${i}`, text }));
  assert.deepEqual(findLeaks([{ place: "the audit", bytes }], watched), []);
  // It finds what is there.
  const there = [{ name: "a name", text: "leaver@example.test" }];
  assert.notDeepEqual(findLeaks([{ place: "the audit", bytes }], there), []);
});
