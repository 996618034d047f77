// A rotation of the master key under load, with the process that rewraps killed in the midst of it, again and again. One process is
// never killed: agents call through it, its key is changed, and people sign in with second factors, and nothing of that may fail.
import assert from "node:assert/strict";
import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { readdir, readFile, readlink } from "node:fs/promises";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { createVault, loadMasterKeys, type SealedSecret } from "../../src/vault/index.ts";
import { createBrowser, createPhone, OWNER_EMAIL, PASSWORD } from "../admin/people.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService, type RunningService } from "../support/service.ts";

// LOCK.masterKeyRotation.
const ROTATION_LOCK = 7_233_017;
const CALLERS = 3;
const MAX_ROUNDS_A_KILL = 10;

export interface Tally {
  calls: number;
  keyChanges: number;
  signIns: number;
  kills: number;
  rounds: number;
}

const keyText = (): string => randomBytes(32).toString("base64");
const ringOf = (value: string) =>
  loadMasterKeys(
    { masterKey: { value }, dataDir: "/nowhere", databaseUrl: undefined },
    { mayCreate: false },
  );

/** Fails when anything of what is said above does. `others`: how many processes beside the one that is never killed, the one that begins in the midst of each rotation among them. */
export async function rotateUnderLoad(
  t: TestContext,
  o: { rows: number; users: number; kills: number; others: number; untilDone: boolean },
): Promise<Tally> {
  const [first, second] = [keyText(), keyText()];
  const idOf = async (text: string): Promise<string> => (await ringOf(text)).active.id;
  const ids = [await idOf(first), await idOf(second)];
  const database = await createTestDatabase();
  const owner = postgres(database.ownerUrl, { max: 2, onnotice: () => undefined });
  const goodKeys = new Set<string>();
  const failures: string[] = [];
  const upstream = await createHttpUpstream((request, response) => {
    request.resume();
    const key = request.headers.authorization?.replace("Bearer ", "") ?? "";
    response.statusCode = goodKeys.has(key) ? 200 : 401;
    response.end("{}");
  });
  const env = {
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8",
    X3SPROXY_LOG_LEVEL: "error",
  };
  const services = new Set<RunningService>();
  const start = async (masterKey: string, apiKey?: string): Promise<RunningService> => {
    const service = await runService({
      database: { ownerUrl: database.ownerUrl, masterKey },
      env,
      ...(apiKey !== undefined && { apiKey }),
    });
    services.add(service);
    return service;
  };
  t.after(async () => {
    await Promise.all([...services].map((service) => service.remove()));
    await upstream.close();
    await owner.end({ timeout: 1 }); // the gate may be held still
    await database.drop();
  });

  // The three steps of docs/master-key.md, each by processes of its own: first the old key alone.
  const old = await start(first);
  const { apiKey } = old;
  const token = /#token=(x3ssetup_[A-Za-z0-9]{32})/.exec(old.output.stderr)?.[1];
  const setup = { token, email: OWNER_EMAIL, password: PASSWORD };
  const browser = createBrowser(old.adminUrl);
  assert.equal((await browser.call("POST", "/setup", setup)).status, 201);
  const newKey = (): string => {
    const key = `sk-proj-FAKE-rotation-${randomUUID()}-wxyz`;
    goodKeys.add(key);
    return key;
  };
  await old.setSecret("openai", newKey());
  const tokens = await Promise.all(
    Array.from({ length: CALLERS }, (_, i) => old.deploy(`caller-${i}`)),
  );
  const vault = await createVault(await ringOf(first));
  const [home] = await owner<{ id: string }[]>`select id from x3sproxy.workspaces where home`;
  const workspaceId = home?.id ?? "";
  const values = await addSecrets(owner, vault, workspaceId, o.rows);
  const people = await addPeople(owner, vault, workspaceId, o.users);

  // Then both, with the old one active.
  const survivor = await start(`${first}, ${second}`, apiKey);
  await old.stop();
  await Promise.all(
    Array.from({ length: o.others - 1 }, () => start(`${second} ${first}`, apiKey)),
  );

  const tally: Tally = { calls: 0, keyChanges: 0, signIns: 0, kills: 0, rounds: 0 };
  const state = { over: false };
  const fail = (what: string): void => void failures.push(what);
  const load = [
    ...tokens.map(async (bearer) => {
      while (!state.over) {
        const answer = await fetch(`${survivor.proxyUrl}/openai/v1/models`, {
          headers: { authorization: `Bearer ${bearer}` },
        }).catch((error: unknown) => error as Error);
        if (answer instanceof Error) fail(`a call: ${answer.message}`);
        else {
          const text = await answer.text();
          if (answer.status !== 200) fail(`a call: ${answer.status} ${text}`);
        }
        tally.calls += 1;
        await delay(2);
      }
    }),
    (async () => {
      while (!state.over) {
        const answer = await api(survivor, apiKey, "PUT", "/secrets", {
          provider: "openai",
          value: newKey(),
          skipTest: true,
        });
        if (answer.status !== 200 && answer.status !== 201) {
          fail(`a new key: ${answer.status} ${JSON.stringify(answer.body)}`);
        }
        tally.keyChanges += 1;
        await delay(100);
      }
    })(),
    (async () => {
      // A code is good once a step: each of these people signs in once.
      for (const { email, phone } of people) {
        if (state.over) return;
        const at = createBrowser(survivor.adminUrl);
        const { status, text } = await at.signIn(email, PASSWORD, phone.code(Date.now()));
        if (status !== 200) fail(`a sign-in: ${status} ${text}`);
        tally.signIns += 1;
        await delay(150);
      }
    })(),
  ];

  let to = 0;
  try {
    while (tally.kills < o.kills) {
      assert.ok(tally.rounds < o.kills * MAX_ROUNDS_A_KILL, "no process was seen rewrapping");
      to = 1 - to;
      tally.rounds += 1;
      // Nobody's turn until another process begins: it is likely to be the first then.
      const gate = await owner.reserve();
      await gate`select pg_advisory_lock(${ROTATION_LOCK})`;
      await activate(survivor, apiKey, ids[to] ?? "");
      const known = await processes(owner);
      const starting = start(`${second} ${first}`, apiKey);
      await eventually(async () => (await processes(owner)) > known, 60_000);
      await gate`select pg_advisory_unlock(${ROTATION_LOCK})`;
      gate.release();
      const victim = await rewrapping(owner, survivor, apiKey);
      if (victim !== undefined) {
        await delay(randomInt(60));
        process.kill(victim, "SIGKILL");
        tally.kills += 1;
      }
      await starting.catch((error: unknown) => {
        if (victim === undefined) throw error;
      });
      for (const service of services) {
        if (service.process.pid !== victim) continue;
        services.delete(service);
        await service.remove();
      }
      await eventually(async () => (await rotationOf(survivor, apiKey)).left === 0, 120_000);
    }
    if (to === 0) await activate(survivor, apiKey, ids[1] ?? "");
    // What was killed last is forgotten after a minute, and until then it isn't said to be done.
    if (o.untilDone) {
      await eventually(async () => (await rotationOf(survivor, apiKey)).state === "done", 120_000);
    }
  } finally {
    state.over = true;
    await Promise.all(load);
  }
  await eventually(async () => (await rotationOf(survivor, apiKey)).left === 0, 60_000);
  assert.deepEqual(failures, []);
  assert.ok(tally.calls > 20 && tally.keyChanges > 2 && tally.signIns > 0, JSON.stringify(tally));

  // At last the new one alone.
  for (const service of services) await service.stop();
  const fresh = await start(second, apiKey);
  const answer = await fetch(`${fresh.proxyUrl}/openai/v1/models`, {
    headers: { authorization: `Bearer ${tokens[0] ?? ""}` },
  });
  assert.equal(answer.status, 200, await answer.text());
  const after = await createVault(await ringOf(second));
  const rows = await owner<SealedSecret[]>`
    select v.secret_id as "secretId", v.version, v.workspace_id as "workspaceId", s.provider, v.origin,
      v.header, v.scheme, v.key_id as "keyId", v.wrapped_key as "wrappedKey", v.ciphertext
    from x3sproxy.secret_versions v join x3sproxy.secrets s on s.id = v.secret_id`;
  assert.ok(rows.length >= o.rows + tally.keyChanges);
  for (const row of rows) {
    const headers: string[] = [];
    after.inject(after.hold(row).release(), row.origin).applyTo(headers);
    const expected = values.get(row.secretId);
    const value = headers[1]?.replace(/^Bearer /, "") ?? "";
    if (expected === undefined) assert.ok(goodKeys.has(value));
    else assert.equal(value, expected);
  }
  return tally;
}

async function addSecrets(
  owner: postgres.Sql,
  vault: Awaited<ReturnType<typeof createVault>>,
  workspaceId: string,
  count: number,
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  const origin = "https://api.mistral.ai";
  for (let from = 0; from < count; from += 1000) {
    const places = Array.from({ length: Math.min(1000, count - from) }, (_, i) => ({
      ...{ workspaceId, secretId: randomUUID(), version: 1, origin },
      ...{ header: "authorization", scheme: "Bearer" },
      value: `FAKE-rotation-row-${from + i}-${randomUUID()}`,
    }));
    for (const { secretId, value } of places) values.set(secretId, value);
    await owner.begin(async (sql) => {
      const secrets = places.map(({ secretId }) => ({
        ...{ id: secretId, workspace_id: workspaceId, provider: "mistral" },
        ...{ environment: `e-${secretId}`, active_version: 1 },
      }));
      const versions = places.map(({ value, ...place }) => {
        const { keyId, wrappedKey, ciphertext } = vault.seal(place, value);
        return {
          ...{ secret_id: place.secretId, workspace_id: workspaceId, version: 1, origin },
          ...{ header: place.header, scheme: place.scheme },
          ...{ key_id: keyId, wrapped_key: wrappedKey, ciphertext, mask: "…" },
        };
      });
      await sql`insert into x3sproxy.secrets ${sql(secrets)}`;
      await sql`insert into x3sproxy.secret_versions ${sql(versions)}`;
    });
  }
  return values;
}

/** With the first user's password, and a second factor each. */
async function addPeople(
  owner: postgres.Sql,
  vault: Awaited<ReturnType<typeof createVault>>,
  workspaceId: string,
  count: number,
) {
  const people = Array.from({ length: count }, (_, i) => ({
    ...{ userId: randomUUID(), email: `person-${i}@example.test`, phone: createPhone() },
  }));
  for (const { userId, email, phone } of people) {
    const sealed = vault.sealSeed({ workspaceId, userId }, phone.seed);
    await owner`
      insert into x3sproxy.users (id, workspace_id, email, password_hash, role)
      select ${userId}, workspace_id, ${email}, password_hash, 'viewer' from x3sproxy.users where email = ${OWNER_EMAIL}`;
    await owner`
      insert into x3sproxy.second_factors (user_id, workspace_id, key_id, wrapped_key, ciphertext, newest_step)
      values (${userId}, ${workspaceId}, ${sealed.keyId}, ${sealed.wrappedKey}, ${sealed.ciphertext}, 0)`;
  }
  return people;
}

async function activate(service: RunningService, apiKey: string, to: string): Promise<void> {
  const { status, body } = await api(service, apiKey, "POST", "/master-keys/rotation", { to });
  assert.equal(status, 200, JSON.stringify(body));
}

async function rotationOf(service: RunningService, apiKey: string) {
  const { status, body } = await api(service, apiKey, "GET", "/master-keys");
  assert.equal(status, 200);
  return (body as { rotation: { state: string; left: number } }).rotation;
}

async function processes(owner: postgres.Sql): Promise<number> {
  return (await owner`select from x3sproxy.process_keys`).length;
}

/** The id of the first process to be seen rewrapping that isn't the survivor; undefined when it is all done before that. */
async function rewrapping(
  owner: postgres.Sql,
  survivor: RunningService,
  apiKey: string,
): Promise<number | undefined> {
  for (let looks = 1; ; looks += 1) {
    const rows = await owner<{ port: number }[]>`
      select a.client_port as port from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'advisory' and l.objid = ${ROTATION_LOCK} and l.granted and a.datname = current_database()`;
    for (const { port } of rows) {
      const inode = await socketOf(port);
      const children = await readFile(`/proc/self/task/${process.pid}/children`, "utf8");
      for (const pid of children.trim().split(" ").map(Number)) {
        const found = pid !== survivor.process.pid && inode !== undefined;
        if (found && (await holds(pid, inode))) return pid;
      }
    }
    if (looks % 20 === 0 && (await rotationOf(survivor, apiKey)).left === 0) return undefined;
    await delay(2);
  }
}

/** The inode of the open connection with this local port. */
async function socketOf(port: number): Promise<string | undefined> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const lines = (await readFile("/proc/net/tcp", "utf8")).split("\n").slice(1);
  const found = lines.map((line) => line.trim().split(/\s+/));
  return found.find(([, local, , state]) => local?.endsWith(`:${hex}`) && state === "01")?.[9];
}

async function holds(pid: number, inode: string): Promise<boolean> {
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(
    names.map((name) => readlink(`${folder}/${name}`).catch(() => "")),
  );
  return links.includes(`socket:[${inode}]`);
}

async function api(
  service: RunningService,
  apiKey: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${service.adminUrl}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: await answer.json() };
}
