// Two service processes on one database, many tries at the same time: a code that was seen over a shoulder is worth nothing once it is
// used. The limits on guessing would let five of them through; they have tests of their own, and are taken away here, so that every try
// gets to the code's check. The user's row is held until more tries wait for it there than one process has connections: then both
// processes are at the check, and all of these begin at once.
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import postgres from "postgres";
import type { Answer } from "../admin/fixture.ts";
import { createBrowser, createPhone, newAddress, OWNER_EMAIL, PASSWORD } from "../admin/people.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";

const TRIES_EACH = 100;
/** Of a process to the database, for the control plane. */
const CONNECTIONS = 4;
/** How many may sign in at once, at the least: of strangers one password is hashed at a time and some wait; whoever comes then gets 503. */
const SIGN_INS = 10;
const STEP_MS = 30_000;

it("of 200 tries at one moment over two processes exactly one wins, with a TOTP code and with a recovery code", async (t) => {
  const { first, urls, owner, race } = await openServices(t);
  const phone = createPhone();
  const enrolled = await first.call("PUT", "/me/second-factor", {
    seed: phone.seed,
    code: phone.code(Date.now() - STEP_MS),
  });
  assert.equal(enrolled.status, 200, enrolled.text);
  const [one = "", another = ""] = enrolled.body["recoveryCodes"] as string[];
  const sessions = async () => (await owner`select from x3sproxy.sessions`).count;

  // Proof by code: nothing but the code's check stands in its way.
  for (const [kind, code] of [
    ["TOTP", phone.code(Date.now())],
    ["recovery", one],
  ] as const) {
    const answers = await race((url) =>
      first.at(url).call("POST", "/me/proof", { code }, { "x-forwarded-for": newAddress() }),
    );
    for (const url of urls) {
      const { won, refused } = tally(answers.get(url));
      assert.equal(won + refused, TRIES_EACH, url);
    }
    const { won } = tally([...answers.values()].flat());
    assert.equal(won, 1, kind);
  }

  // Signing in: the password comes first, and so as many at once as may be hashed.
  for (const [kind, code] of [
    ["TOTP", phone.code(Date.now() + STEP_MS)],
    ["recovery", another],
  ] as const) {
    const before = await sessions();
    const answers = await race((url) => createBrowser(url).signIn(OWNER_EMAIL, PASSWORD, code));
    for (const url of urls) {
      const { won, refused, busy } = tally(answers.get(url));
      assert.ok(won + refused >= SIGN_INS, `${won + refused} at ${url}`);
      assert.equal(won + refused + busy, TRIES_EACH, url);
    }
    const { won } = tally([...answers.values()].flat());
    assert.deepEqual([won, (await sessions()) - before], [1, 1], kind);
  }
});

/** Two processes, their first user signed in, and no limits on guessing. Gone when the test ends. */
async function openServices(t: TestContext) {
  const database = await createTestDatabase();
  const owner = postgres(database.ownerUrl, { max: 3, onnotice: () => undefined });
  const env = { X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8", X3SPROXY_LOG_LEVEL: "error" };
  const services = [await runService({ database, env })];
  t.after(async () => {
    await Promise.all(services.map((service) => service.remove()));
    await owner.end();
    await database.drop();
  });
  const [service] = services;
  assert.ok(service !== undefined);
  const token = await eventually(
    () => /#token=(x3ssetup_[A-Za-z0-9]{32})/.exec(service.output.stderr)?.[1],
  );
  const first = createBrowser(service.adminUrl);
  const setup = { token, email: OWNER_EMAIL, password: PASSWORD };
  assert.equal((await first.call("POST", "/setup", setup)).status, 201);
  services.push(await runService({ database, env, apiKey: service.apiKey }));
  const urls = services.map(({ adminUrl }) => adminUrl);
  await owner.unsafe(`
    create or replace function x3sproxy.begin_attempt(of_subject bytea, of_known bytea,
      out subject bytea, out wait_s integer, out note boolean)
    language sql as $$ select of_subject, 0, false $$`);

  /** The answers to 100 tries at each service, by its URL. */
  const race = async (attempt: (url: string) => Promise<Answer>) => {
    const tries = Array.from({ length: TRIES_EACH }, () => urls).flat();
    const answered = await owner.begin(async (sql) => {
      await sql`select from x3sproxy.users for update`;
      const answering = tries.map(async (url) => ({ url, answer: await attempt(url) }));
      await eventually(async () => (await waiting(owner)) > CONNECTIONS);
      return { answering };
    });
    const all = await Promise.all(answered.answering);
    return new Map(
      urls.map((url) => [url, all.filter((it) => it.url === url).map(({ answer }) => answer)]),
    );
  };
  return { first, urls, owner, race };
}

/** How many connections wait for a lock of another. */
async function waiting(owner: postgres.Sql): Promise<number> {
  const rows = await owner`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  return rows.count;
}

function tally(answers: readonly Answer[] = []) {
  const won = answers.filter(({ status }) => status === 200).length;
  const withCode = (...codes: string[]) =>
    answers.filter(({ body }) => codes.includes(String(body["code"]))).length;
  return { won, refused: withCode("proof_refused", "sign_in_refused"), busy: withCode("busy") };
}
