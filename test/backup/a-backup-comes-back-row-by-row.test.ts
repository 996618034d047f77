import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { LEFT_OUT, tablesOf } from "../../src/backup/tables.ts";
import { newIdentity } from "../../src/backup/index.ts";
import { withOwner } from "../../src/db/index.ts";
import { createPhone, PASSWORD } from "../admin/people.ts";
import { sendTo } from "../admin/fixture.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService, type RunningService } from "../support/service.ts";
import { runCli } from "../cli/fixture.ts";
import { createEmptyDatabase, isUntouched } from "./fixture.ts";

const FAKE_KEY = "sk-FAKE-backed-up-key-0123456789-abcdefghij";
const EMAIL = "first@example.test";

it("a backup comes back row by row, and a service goes on with it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-backup-"));
  t.after(() => rm(folder, { recursive: true }));
  const seen: (string | undefined)[] = [];
  const upstream = await createHttpUpstream((request, response) => {
    seen.push(request.headers.authorization);
    response.end("{}");
  });
  t.after(() => upstream.server.close());
  const env = {
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
  };
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const apiKey = await ownerKey(database);
  const service = await runService({ database, env, apiKey });
  t.after(() => service.remove());

  const phone = createPhone();
  await signUp(service, phone);
  await service.setSecret("openai", FAKE_KEY);
  await service.cliJson(["provider", "add", "own", "--origin", "https://own.example"]);
  const token = await service.deploy("one", "--ttl", "1d");
  await service.deploy("two", "--providers", "openai");
  await call(service, apiKey, "POST", "/workspaces", { name: "second" });
  await call(service, apiKey, "POST", "/agents/one/leases", {});
  await call(service, apiKey, "POST", "/agents/two/registrations", {});
  const other = await call(service, apiKey, "POST", "/api-keys", { name: "ci", role: "viewer" });
  assert.equal(await ask(service, token), 200);
  await eventually(() =>
    withOwner(database.ownerUrl, async (sql) => {
      const [row] = await sql<[{ waiting: string; minutes: string }]>`
      select (select count(*) from x3sproxy.audit_pending) as waiting,
        (select count(*) from x3sproxy.activity_minutes) as minutes`;
      return row.waiting === "0" && row.minutes !== "0";
    }),
  );

  const { identity, recipient } = await newIdentity();
  const keyFile = join(folder, "key.txt");
  await writeFile(keyFile, `# a FAKE comment\n${identity}\n`);
  const file = join(folder, "backup.age");
  const made = await service.cliJson(["backup", "--output", file, "--recipient", recipient]);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await leftOver(folder), ["backup.age", "key.txt"]);
  const sealed = await readFile(file);
  for (const text of [FAKE_KEY, token, EMAIL, "one"]) assert.ok(!sealed.includes(`${text}\t`));
  assert.equal(made["bytes"], sealed.length);
  const masterKeys = made["masterKeys"] as string[];
  assert.equal(masterKeys.length, 1);

  const url = await createEmptyDatabase(t);
  const restore = (...args: string[]) =>
    runCli(["restore", file, ...args], {
      environment: { DATABASE_URL: url, X3SPROXY_MASTER_KEY: database.masterKey },
    });
  const refused = await restore("--passphrase");
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /sealed to another key or with another passphrase\. Nothing was changed/,
  );
  assert.ok(await isUntouched(url));

  const restored = await restore("--identity", keyFile, "--json");
  assert.equal(restored.status, 0, restored.stderr);
  const answer = JSON.parse(restored.stdout) as Record<string, unknown>;
  assert.equal(answer["backupId"], made["id"]);
  assert.equal(answer["rows"], made["rows"]);
  assert.deepEqual((answer["audit"] as { problems: string[] }).problems, []);

  await t.test("every table is the same", async () => {
    const [before, after] = await Promise.all([tablesIn(database.ownerUrl), tablesIn(url)]);
    assert.deepEqual([...after.keys()], [...before.keys()]);
    for (const [name, rows] of after) {
      const expected = before.get(name) ?? [];
      if (name.startsWith("audit_")) continue;
      if (name in LEFT_OUT && !name.startsWith("schema_")) assert.deepEqual(rows, [], name);
      else if (name === "proxy_tokens") assert.equal(rows.length, 2, "leases stay out");
      else if (name === "workspaces") assert.equal(rows.length, expected.length);
      else if (name.startsWith("schema_")) assert.equal(rows.length, expected.length);
      else assert.deepEqual(rows, expected, name);
    }
    // Of the audit the original has more by now, and the restored one has its own beginnings.
    for (const name of ["audit_leaves", "audit_nodes", "audit_checkpoints"]) {
      const rows = after.get(name) ?? [];
      for (const row of rows) assert.ok(before.get(name)?.includes(row), name);
    }
    const events = after.get("audit_events") ?? [];
    const own = events.filter((row) => !(before.get("audit_events") ?? []).includes(row));
    assert.deepEqual(own.map((row) => /"action":"([^"]+)"/.exec(row)?.[1]).sort(), [
      "backup.restore",
      "workspace.suspend",
      "workspace.suspend",
    ]);
    assert.ok(events.some((row) => row.includes("backup.create") && row.includes("begun")));
    assert.ok(events.length > 10);
  });

  await service.stop();
  const second = await runService({
    database: { ownerUrl: url, masterKey: database.masterKey },
    env,
    apiKey,
  });
  t.after(() => second.remove());

  await t.test(
    "agents are suspended until somebody lets them go on, then the same token works",
    async () => {
      assert.equal(await ask(second, token), 403);
      const resumed = await second.cli(["agent", "resume", "--all"]);
      assert.equal(resumed.status, 0, resumed.stderr);
      await eventually(async () => (await ask(second, token)) === 200);
      assert.equal(seen.at(-1), `Bearer ${FAKE_KEY}`);
    },
  );

  await t.test("second factors and API keys work, sessions don't", async () => {
    const signIn = (code?: string) =>
      sendTo(second.adminUrl, "/api/v1/sign-in", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email: EMAIL, password: PASSWORD, code }),
      });
    assert.equal((await signIn()).body["code"], "second_factor_needed");
    const good = await signIn(phone.code(Date.now() + 30_000));
    assert.equal(good.status, 200, good.text);
    const key = String((other as { key: unknown }).key);
    const who = await sendTo(second.adminUrl, "/api/v1/whoami", {
      headers: { authorization: `Bearer ${key}` },
    });
    assert.equal(who.status, 200);
  });

  await t.test("the audit goes on from the same tree", async () => {
    const last = await eventually(() =>
      withOwner(url, async (sql) => {
        const [row] = await sql<[{ waiting: string; newest: string; first: string | null }]>`
          select (select count(*) from x3sproxy.audit_pending) as waiting,
            (select max(size) from x3sproxy.audit_checkpoints) as newest,
            (select min(leaf_index) from x3sproxy.audit_leaves l join x3sproxy.audit_events e on e.id = l.event_id
             where action = 'backup.restore') as first`;
        return row.waiting === "0" && row.first !== null && row;
      }),
    );
    assert.ok(Number(last.newest) > Number(last.first));
    assert.doesNotMatch(second.output.stdout, /can't be sealed/);
  });
});

async function ownerKey(database: { ownerUrl: string }): Promise<string> {
  const { bootstrap } = await import("../../src/identity/index.ts");
  const { apiKey } = await bootstrap(database.ownerUrl, { makeApiKey: true });
  return apiKey ?? "";
}

async function signUp(
  service: RunningService,
  phone: ReturnType<typeof createPhone>,
): Promise<void> {
  const token = /#token=(x3ssetup_\w+)/.exec(service.output.stderr)?.[1];
  const headers = { "content-type": "application/json" };
  const setup = await sendTo(service.adminUrl, "/api/v1/setup", {
    method: "POST",
    headers,
    body: JSON.stringify({ token, email: EMAIL, password: PASSWORD }),
  });
  assert.equal(setup.status, 201, setup.text);
  const cookie = setup.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const enrolled = await sendTo(service.adminUrl, "/api/v1/me/second-factor", {
    method: "PUT",
    headers: { ...headers, cookie, "x3sproxy-session": String(setup.body["sessionSecret"]) },
    body: JSON.stringify({ seed: phone.seed, code: phone.code(Date.now()) }),
  });
  assert.equal(enrolled.status, 200, enrolled.text);
}

async function call(
  service: RunningService,
  apiKey: string,
  method: string,
  path: string,
  body: object,
): Promise<Record<string, unknown>> {
  const answer = await sendTo(service.adminUrl, `/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.ok(answer.status < 300, answer.text);
  return answer.body;
}

async function ask(service: RunningService, token: string): Promise<number> {
  const response = await fetch(`${service.proxyUrl}/openai/v1/models`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await response.arrayBuffer();
  return response.status;
}

/** Each table's rows as sorted JSON. */
function tablesIn(url: string): Promise<Map<string, string[]>> {
  return withOwner(url, async (sql) => {
    const names = [...(await tablesOf(sql)).map(({ name }) => name), ...Object.keys(LEFT_OUT)];
    const tables = new Map<string, string[]>();
    for (const name of names.sort()) {
      const rows = await sql<{ row: string }[]>`
        select to_jsonb(t)::text as row from x3sproxy.${sql(name)} t`;
      tables.set(name, rows.map(({ row }) => row.replaceAll('": ', '":')).sort());
    }
    return tables;
  });
}

async function leftOver(folder: string): Promise<string[]> {
  const { readdir } = await import("node:fs/promises");
  return (await readdir(folder)).sort();
}
