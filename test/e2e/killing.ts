// A service that is killed again and again, wherever it stands, while people change things and agents call; and what has to be true
// of effects and events afterwards, each found in the database by itself.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { withOwner } from "../../src/db/connection.ts";
import type { Sql } from "../../src/db/index.ts";
import { KeyRing, MasterKey, openLogSigner } from "../../src/vault/index.ts";
import { assertSealed } from "../audit/sealed.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { freePorts } from "../support/service.ts";
import { inherited } from "../support/inherited.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/x3sproxy.js", import.meta.url));
const CALLERS = 4;
// One life in so many ends before it is ready, the others at work.
const UNREADY_IN = 6;
const START_MS = 2_000;
const RELEASE_EVERY_MS = 120_000;
const KEY = /^Bearer (sk-FAKE-killed-[0-9a-z]+)$/;

/** What came of a run. */
export interface KillingReport {
  kills: number;
  /** How many of them came before the service was ready. */
  withinStart: number;
  /** Changes that were answered, and calls that the upstream had. */
  answered: number;
  /** Changes whose answer was lost. */
  lost: number;
  calls: number;
  events: number;
  releases: number;
  minutes: number;
}

/** Kills it `kills` times, or until `withinMs` are over, and looks. */
export async function killAgainAndAgain(
  t: TestContext,
  o: { kills: number; withinMs: number; longestWorkMs: number },
): Promise<KillingReport> {
  const startMs = performance.now();
  const database = await createTestDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-killing-"));
  const upstream = await openUpstream();
  t.after(async () => {
    await upstream.close();
    await rm(dataDir, { recursive: true, force: true });
    await database.drop();
  });
  const [proxy = 0, admin = 0, metrics = 0] = await freePorts(3);
  const { HOME = "" } = process.env;
  const start = (): ChildProcess => {
    const child = spawn(process.execPath, [LAUNCHER, "serve"], {
      stdio: "ignore",
      env: {
        ...inherited(),
        HOME,
        DATABASE_URL: database.ownerUrl,
        X3SPROXY_MASTER_KEY: database.masterKey,
        X3SPROXY_DATA_DIR: dataDir,
        X3SPROXY_PROXY_ADDR: `127.0.0.1:${proxy}`,
        X3SPROXY_ADMIN_ADDR: `127.0.0.1:${admin}`,
        X3SPROXY_METRICS_ADDR: `127.0.0.1:${metrics}`,
        X3SPROXY_ORIGIN_OPENAI: upstream.origin,
        X3SPROXY_RELEASE_EVERY: `${RELEASE_EVERY_MS}ms`,
        X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
      },
    });
    const killWithUs = (): void => void child.kill("SIGKILL");
    process.once("exit", killWithUs);
    child.once("exit", () => process.off("exit", killWithUs));
    return child;
  };
  const isReady = () =>
    fetch(`http://127.0.0.1:${metrics}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    );

  let service = start();
  t.after(() => service.kill("SIGKILL"));
  await eventually(isReady, 60_000);
  const apiKey = (await readFile(join(dataDir, "admin-api-key"), "utf8")).trim();
  const load = await startLoad({ proxy, admin, apiKey });

  const report: KillingReport = {
    ...{ kills: 0, withinStart: 0, answered: 0, lost: 0, calls: 0, events: 0, releases: 0 },
    minutes: 0,
  };
  while (report.kills < o.kills && performance.now() - startMs < o.withinMs) {
    if (report.kills % UNREADY_IN === UNREADY_IN - 1) await sleep(Math.random() * START_MS);
    else {
      await eventually(isReady, 60_000);
      await sleep(Math.random() * o.longestWorkMs);
    }
    if (service.exitCode !== null) assert.fail(`it ended by itself: ${service.exitCode}`);
    if (!(await isReady())) report.withinStart++;
    const gone = once(service, "exit");
    service.kill("SIGKILL");
    await gone;
    report.kills++;
    service = start();
  }
  await eventually(isReady, 60_000);
  await sleep(1_000); // some of it in a life that nothing ends
  await load.stop();
  await eventually(() => noneWaits(database), 30_000);

  await withOwner(database.ownerUrl, async (sql) => {
    await assertEffectsMatch(sql);
    load.assertKept(await eventsByTarget(sql));
    report.releases = await assertReleasedBefore(sql, upstream.calls);
    const [row] = await sql<[{ count: number }]>`select count(*)::int from x3sproxy.audit_events`;
    report.events = row.count;
  });
  const signer = await openLogSigner(
    database.ownerUrl,
    new KeyRing([new MasterKey(Buffer.from(database.masterKey, "base64"))]),
  );
  assert.equal(await assertSealed(database.ownerUrl, signer.publicKey), report.events);
  return {
    ...report,
    ...{ answered: load.answered(), lost: load.lost(), calls: upstream.calls.length },
    minutes: (performance.now() - startMs) / 60_000,
  };
}

interface UpstreamCall {
  readonly agent: string;
  readonly key: string;
  readonly atMs: number;
}

/** It notes which agent (by its path) came with which key. */
async function openUpstream() {
  const calls: UpstreamCall[] = [];
  const server = createServer((request, response) => {
    const [, key = ""] = KEY.exec(request.headers.authorization ?? "") ?? [];
    const agent = request.url?.split("/").at(-1) ?? "";
    assert.notEqual(key, "");
    calls.push({ agent, key, atMs: Date.now() });
    response.end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    calls,
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** People and agents at work, who don't mind that nobody answers. */
async function startLoad(o: { proxy: number; admin: number; apiKey: string }) {
  let stopped = false;
  let answered = 0;
  let lost = 0;
  let keys = 0;
  // Of what was answered as done: how often, by action and target.
  const kept = new Map<string, number>();
  const unknown = new Map<string, number>();
  const note = (where: Map<string, number>, what: string): void =>
    void where.set(what, (where.get(what) ?? 0) + 1);

  /** The body of a success; undefined for a refusal and when no answer came. */
  async function change(
    what: string,
    method: string,
    path: string,
    body?: object,
  ): Promise<Record<string, unknown> | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${o.admin}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${o.apiKey}`,
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (response.status >= 500) note(unknown, what);
      if (response.status >= 300) return undefined;
      answered++;
      note(kept, what);
      return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
    } catch {
      lost++;
      note(unknown, what);
      await sleep(20);
      return undefined;
    }
  }
  const setKey = async () => {
    const value = `sk-FAKE-killed-${(keys++).toString(36).padStart(8, "0")}`;
    const set = await change("secret.set openai/production", "PUT", "/secrets", {
      provider: "openai",
      value,
      skipTest: true,
    });
    return (set?.["secret"] as { id: string } | undefined)?.id;
  };
  const deploy = async (name: string, body: object = {}) => {
    const made = await change(`agent.deploy ${name}`, "POST", `/agents/${name}/deployments`, body);
    return made?.["token"] as string | undefined;
  };
  const call = async (token: string, name: string): Promise<void> => {
    await fetch(`http://127.0.0.1:${o.proxy}/openai/v1/models/${name}`, {
      headers: { authorization: `Bearer ${token}` },
    }).then(
      (response) => response.arrayBuffer(),
      () => sleep(20),
    );
  };
  const secretId = (await setKey()) ?? assert.fail();

  const works: (() => Promise<void>)[] = [
    async () => {
      await setKey();
      await change(
        "secret.rollback openai/production",
        "POST",
        `/secrets/${secretId}/rollback`,
        {},
      );
      await sleep(150);
    },
    async () => {
      await change("provider.set mine", "PUT", "/providers/mine", { origin: "https://a.example" });
      await change("provider.delete mine", "DELETE", "/providers/mine");
    },
  ];
  for (const worker of ["x", "y"]) {
    let n = 0;
    works.push(async () => {
      const name = `${worker}-${n++}`;
      const token = await deploy(name);
      if (token !== undefined) await call(token, name);
      await change(`agent.scope ${name}`, "PATCH", `/agents/${name}/scope`, { models: null });
      await deploy(name);
      if (n % 3 !== 0) await change(`agent.destroy ${name}`, "DELETE", `/agents/${name}`);
    });
  }
  for (let i = 0; i < CALLERS; i++) {
    const name = `caller-${i}`;
    let token = (await deploy(name)) ?? assert.fail();
    works.push(async () => {
      for (let calls = 0; calls < 20; calls++) await call(token, name);
      // The last of them is redeployed, and registers by itself.
      if (i !== CALLERS - 1) return;
      const made = await change(
        `registration.create ${name}`,
        "POST",
        `/agents/${name}/registrations`,
      );
      if (made === undefined) return;
      const traded = await fetch(`http://127.0.0.1:${o.proxy}/_x3sproxy/register`, {
        method: "POST",
        headers: { authorization: `Bearer ${String(made["token"])}` },
      }).then(
        (response) => response.json() as Promise<{ token?: string }>,
        () => undefined,
      );
      const next = traded?.token ?? (await deploy(name));
      if (next !== undefined) token = next;
    });
  }
  const running = works.map(async (work) => {
    while (!stopped) await work();
  });
  return {
    answered: () => answered,
    lost: () => lost,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
    /** What was answered as done is in the audit; what was not may be. */
    assertKept(events: ReadonlyMap<string, number>): void {
      for (const [what, count] of kept) {
        const found = events.get(what) ?? 0;
        const most = count + (unknown.get(what) ?? 0);
        assert.ok(found >= count && found <= most, `${what}: ${count} to ${most}, found ${found}`);
      }
    },
  };
}

async function noneWaits({ ownerUrl }: TestDatabase): Promise<boolean> {
  const [row] = await withOwner(
    ownerUrl,
    (sql) => sql<[{ count: number }]>`select count(*)::int from x3sproxy.audit_pending`,
  );
  return row.count === 0;
}

async function eventsByTarget(sql: Sql): Promise<Map<string, number>> {
  const rows = await sql<{ what: string; count: number }[]>`
    select action || ' ' || target_name as what, count(*)::int from x3sproxy.audit_events group by 1`;
  return new Map(rows.map(({ what, count }) => [what, count]));
}

/** What the tables say of how often each thing happened, against how often the audit says so. */
async function assertEffectsMatch(sql: Sql): Promise<void> {
  const differences = await sql<{ what: string; effects: number; events: number }[]>`
    with e as (
      select action, target_id, target_name, result, id from x3sproxy.audit_events
    ), compared as (
      select 'deployments of ' || a.name as what, a.deployments::int as effects,
        (select count(*)::int from e where e.target_id = a.id::text
          and e.action in ('agent.deploy', 'registration.trade') and e.result = 'done') as events
      from x3sproxy.agents a
      union all
      select 'ends of ' || target_name, case when a.id is null then 1 else 0 end,
        (select count(*)::int from e d where d.action = 'agent.destroy' and d.target_id = made.target_id)
      from (select distinct target_id, target_name from e where action = 'agent.deploy') made
      left join x3sproxy.agents a on a.id::text = made.target_id
      union all
      select 'versions of ' || s.provider, (select count(*)::int from x3sproxy.secret_versions v where v.secret_id = s.id),
        (select count(*)::int from e where e.action = 'secret.set' and e.target_id = s.id::text)
      from x3sproxy.secrets s
      union all
      select 'registrations', (select count(*)::int from x3sproxy.registrations)
        + (select count(*)::int from x3sproxy.spent_registrations),
        (select count(*)::int from e where e.action = 'registration.create')
      union all
      select 'the provider', (select count(*)::int from x3sproxy.providers),
        coalesce((select case when action = 'provider.set' then 1 else 0 end from e
          where action in ('provider.set', 'provider.delete') order by id desc limit 1), 0)
      union all
      select 'tokens of ' || a.name, 1, (select count(*)::int from x3sproxy.proxy_tokens t where t.agent_id = a.id)
      from x3sproxy.agents a
    )
    select * from compared where effects <> events`;
  assert.deepEqual([...differences], []);
}

/** Each call came after a release of that version for that agent, by the process that was alive then, while its event counted. */
async function assertReleasedBefore(sql: Sql, calls: readonly UpstreamCall[]): Promise<number> {
  const ms = (at: Date): number => at.getTime();
  const versions = await sql<{ version: number; ending: string }[]>`
    select version, right(mask, 4) as ending from x3sproxy.secret_versions`;
  const versionOf = new Map(versions.map(({ ending, version }) => [ending, version]));
  const starts = await sql<{ process: string; at: Date }[]>`
    select target_id as process, created_at as at from x3sproxy.audit_events
    where action = 'service.start' order by id`;
  const rows = await sql<{ agent: string; at: Date; detail: string }[]>`
    select actor_name as agent, created_at as at, detail from x3sproxy.audit_events
    where action = 'secret.release' order by id`;
  const releases = new Map<string, number[]>();
  for (const { agent, at, detail } of rows) {
    const { version, process: by } = JSON.parse(detail) as { version: number; process: string };
    const name = `${agent} ${version} ${by}`;
    releases.set(name, [...(releases.get(name) ?? []), ms(at)]);
  }
  assert.ok(calls.length > 0 && rows.length > 0);
  for (const { agent, key, atMs } of calls) {
    const version = versionOf.get(key.slice(-4)) ?? assert.fail(`no version has the key ${key}`);
    const by = starts.findLast(({ at }) => ms(at) <= atMs)?.process ?? assert.fail("no start");
    const released = releases.get(`${agent} ${version} ${by}`) ?? [];
    assert.ok(
      released.some((at) => at <= atMs && atMs - at < RELEASE_EVERY_MS + 2_000),
      `${agent} had version ${version} by ${by} without a release before`,
    );
  }
  return rows.length;
}
