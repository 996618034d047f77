// A whole admin side on a database of its own, listening, with an API key for each role.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import postgres from "postgres";
import {
  createAgents,
  createCustomProviders,
  createEnvironments,
  createLeases,
  createNewAgents,
  createRegistrations,
  createScopeTrials,
} from "../../src/agents/index.ts";
import { createActivityViews, createCallViews } from "../../src/activity/index.ts";
import { createAdmin } from "../../src/admin/index.ts";
import {
  createAudit,
  createAuditProofs,
  createErasures,
  createSequencer,
} from "../../src/audit/index.ts";
import { createBackups } from "../../src/backup/index.ts";
import type { Certificate } from "../../src/certificate.ts";
import type { Clock } from "../../src/clock.ts";
import { readConfig, type Cidr } from "../../src/config.ts";
import { createPool, type Pool } from "../../src/db/index.ts";
import { API_KEY_PREFIX, hashBearer, newBearer, newId, newProcessId } from "../../src/ids.ts";
import { bootstrap, createIdentity, type Role } from "../../src/identity/index.ts";
import { createLog } from "../../src/log.ts";
import { createMetrics } from "../../src/metrics.ts";
import { createProbe } from "../../src/proxy/index.ts";
import {
  createKeyTests,
  createMasterKeys,
  createSecrets,
  createVault,
  loadMasterKeys,
  openDerivation,
  openLogSigner,
  verifyMasterKeys,
} from "../../src/vault/index.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

export const FAKE_KEY = "sk-proj-FAKEadmin4f1Zq0/test+key-wxyz";
export const OTHER_FAKE_KEY = "sk-proj-FAKEadmin9b7Kk2/other+key-abcd";
/** Of the master key of every test database. */
export const MASTER_KEY_ID = "5810f3442de513a0";
export const PUBLIC_URL = "https://llm.example.test";
export const DASHBOARD_URL = "https://x3s.example.test";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; empty when it is not a JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A clock that a test moves on by hand. */
export function createTestClock(): Clock & { advance(ms: number): void } {
  let offsetMs = 0;
  return {
    nowMs: () => Date.now() + offsetMs,
    monotonicMs: () => performance.now() + offsetMs,
    advance(ms) {
      offsetMs += ms;
    },
  };
}

/**
 * Everything is gone when the test ends. `log` collects the log's lines. `database`: in place of a new one. `controlUrl`: another database login than the right
 * one. `origins`: of providers, in place of the built-in ones. `env`: settings of calls to providers. `host`: to listen on. `openPool`: the
 * way to the database, in place of the service's own.
 */
export async function openAdmin(
  t: TestContext,
  o: {
    database?: TestDatabase;
    controlUrl?: string;
    trustedProxies?: readonly Cidr[];
    dashboardUrl?: string;
    certificate?: Certificate;
    origins?: Readonly<Record<string, string>>;
    env?: Readonly<Record<string, string>>;
    host?: string;
    openPool?: (controlUrl: string) => Pool;
  } = {},
) {
  const clock = createTestClock();
  const database = o.database ?? (await createTestDatabase());
  const owner = postgres(database.ownerUrl, { max: 2, onnotice: () => undefined });
  const pool = (o.openPool ?? createPool)(o.controlUrl ?? database.controlUrl);
  const masterKey = await loadMasterKeys(
    { masterKey: { value: database.masterKey }, dataDir: "/nowhere", databaseUrl: undefined },
    { mayCreate: false },
  );
  await verifyMasterKeys(database.ownerUrl, masterKey);
  const { workspaceId, apiKey, setupToken } = await bootstrap(database.ownerUrl, {
    makeApiKey: true,
  });
  assert.ok(apiKey !== undefined && setupToken !== undefined);
  const originProblem = (origin: string) =>
    origin.startsWith("http:") ? "plain http is refused" : undefined;
  const originOverrides = new Map(
    Object.entries({ mistral: "https://gateway.example.test", ...o.origins }),
  );
  const vault = await createVault(masterKey, await openDerivation(database.ownerUrl, masterKey));
  const probe = createProbe(
    readConfig({
      DATABASE_URL: database.ownerUrl,
      X3SPROXY_MASTER_KEY: database.masterKey,
      // A test that names no provider of its own calls none.
      ...(o.env ?? { HTTPS_PROXY: "http://127.0.0.1:1" }),
    }),
    clock,
  );
  const sealingLog = createLog({ level: "silent" });
  const signer = await openLogSigner(database.ownerUrl, masterKey);
  const sequencer = createSequencer({ pool, signer, log: sealingLog });
  const lines: string[] = [];
  const log = createLog({
    level: "debug",
    destination: { write: (line) => void lines.push(line) },
  });
  const identity = createIdentity({ pool, vault, clock });
  const settings = {
    identity,
    secrets: createSecrets({
      pool,
      vault,
      originOverrides,
      originProblem,
    }),
    agents: createAgents({ pool, clock, vault }),
    registrations: createRegistrations({ pool, clock }),
    leases: createLeases({ pool, clock }),
    newAgents: createNewAgents({ pool }),
    customProviders: createCustomProviders({ pool, originProblem }),
    environments: createEnvironments({ pool }),
    audit: createAudit({ pool }),
    erasures: createErasures({ pool, sequencer }),
    auditProofs: createAuditProofs({
      ...{ pool, signer, sequencer, clock, log: sealingLog },
    }),
    backups: createBackups({
      ...{ pool, ownerUrl: database.ownerUrl, clock, log, metrics: createMetrics() },
    }),
    activity: createActivityViews({ pool, clock }),
    calls: createCallViews({ pool, clock }),
    scopeTrials: createScopeTrials({ pool, clock }),
    keyTests: createKeyTests({
      ...{ pool, vault, clock, processId: newProcessId() },
      callProvider: (call) => probe.call(call),
    }),
    masterKeys: createMasterKeys({ pool }),
    metrics: createMetrics(),
    log,
    clock,
    publicUrl: PUBLIC_URL,
    dashboardUrl: o.dashboardUrl ?? DASHBOARD_URL,
    originOverrides,
    trustedProxies: o.trustedProxies ?? [],
    certificate: o.certificate,
  };
  const admin = await createAdmin(settings);
  const { port } = await admin.listen({ host: o.host ?? "127.0.0.1", port: 0 });
  const others: (() => Promise<void>)[] = [];
  t.after(async () => {
    for (const close of others) await close();
    await settings.backups.close();
    await admin.close();
    await probe.destroy();
    await pool.close();
    await owner.end();
    await database.drop();
  });
  const url = `${o.certificate === undefined ? "http" : "https"}://127.0.0.1:${port}`;

  const addKey = async (role: Role, workspace = workspaceId): Promise<string> => {
    const key = newBearer(API_KEY_PREFIX);
    await owner`
      insert into x3sproxy.api_keys (id, workspace_id, name, hash, role)
      values (${newId()}, ${workspace}, ${role}, ${Buffer.from(hashBearer(key), "hex")}, ${role})`;
    return key;
  };
  const addWorkspace = async (name: string): Promise<string> => {
    const id = newId();
    await owner`insert into x3sproxy.workspaces (id, name) values (${id}, ${name})`;
    return id;
  };
  const send = (path: string, init?: RequestInit): Promise<Answer> => sendTo(url, path, init);
  /** A second service on the same database; gives its URL. */
  const openAnother = async (): Promise<string> => {
    const otherPool = createPool(database.controlUrl);
    const other = await createAdmin({
      ...settings,
      identity: createIdentity({ pool: otherPool, vault, clock }),
    });
    const address = await other.listen({ host: "127.0.0.1", port: 0 });
    others.push(async () => {
      await other.close();
      await otherPool.close();
    });
    return `http://127.0.0.1:${address.port}`;
  };
  /** One call with a JSON body and, unless `key` is null, an API key (the owner's by default). */
  const call = (
    method: string,
    path: string,
    body?: unknown,
    key: string | null = apiKey,
  ): Promise<Answer> =>
    send(path, {
      method,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  return {
    metrics: settings.metrics,
    ...{ routes: admin.routes, sequencer, signer },
    ...{ clock, database, owner, url, port, apiKey, setupToken, workspaceId, log: lines },
    routes: admin.routes,
    ...{ addKey, addWorkspace, send, call, openAnother },
  };
}

/** One request to the service at `url`. */
export async function sendTo(url: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url + path, init);
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parse(text) };
}

/** Fails when `text` holds `key` in the open, or in base64, base64url, hex or URL form. */
export function assertHides(text: string, key: string): void {
  const bytes = Buffer.from(key);
  const forms = [
    key,
    bytes.toString("hex"),
    encodeURIComponent(key),
    JSON.stringify(key).slice(1, -1),
    // Base64 depends on where in a text the key begins: the middle of each of the three.
    ...[0, 1, 2].flatMap((shift) => {
      const whole = Buffer.concat([Buffer.alloc(shift), bytes]);
      return [whole.toString("base64"), whole.toString("base64url")].map((it) => it.slice(4, -4));
    }),
  ];
  for (const form of forms) {
    assert.ok(!text.toLowerCase().includes(form.toLowerCase()), "the text holds the key");
  }
}

/** The value at `path` in a JSON answer, as a string. */
export function stringAt(answer: Answer, ...path: string[]): string {
  let value: unknown = answer.body;
  for (const name of path) value = (value as Record<string, unknown> | undefined)?.[name];
  assert.equal(typeof value, "string", `${path.join(".")} in ${answer.text}`);
  return value as string;
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
