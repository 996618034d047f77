// With DATABASE_URL: a Postgres server that knows nothing of us, and an owner who is no superuser. Two services on one
// database are one product.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { withOwner } from "../../src/db/connection.ts";
import { startEmbedded } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";

const FIRST_KEY = "sk-proj-FAKE-shared-database-first-0000-6666";
const SECOND_KEY = "sk-proj-FAKE-shared-database-second-0000-7777";
const PASSWORD = "a FAKE p@ss/w:rd?with#all%of&them";
const WITHIN_MS = 1000;

test("what one service does holds at the other within a second", async (t) => {
  const database = {
    ownerUrl: await createOwner(t),
    masterKey: randomBytes(32).toString("base64"),
  };
  const lookAlike = createLookAlike({ keys: { openai: [FIRST_KEY, SECOND_KEY] } });
  const env = {
    X3SPROXY_ORIGIN_OPENAI: await lookAlike.listen(),
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
  };
  t.after(() => lookAlike.close());
  const one = await runService({ database, env });
  t.after(() => one.remove());
  const other = await runService({ database, env, apiKey: one.apiKey });
  t.after(() => other.remove());

  await one.setSecret("openai", FIRST_KEY);
  const token = await one.deploy("shared");
  const keyUsedAt = async (service: RunningService): Promise<string | undefined> => {
    const response = await callModels(service, token);
    await response.body?.cancel();
    assert.equal(response.status, 200);
    return lookAlike.requests.at(-1)?.key?.value;
  };
  assert.equal(await keyUsedAt(other), FIRST_KEY);
  assert.equal(await keyUsedAt(one), FIRST_KEY);

  await other.setSecret("openai", SECOND_KEY);
  for (const service of [one, other]) {
    await eventually(async () => (await keyUsedAt(service)) === SECOND_KEY, WITHIN_MS);
  }
  await one.cliJson(["secret", "rollback", "openai"]);
  for (const service of [one, other]) {
    await eventually(async () => (await keyUsedAt(service)) === FIRST_KEY, WITHIN_MS);
  }

  assert.equal(await one.stop(), 0);
  assert.equal(await keyUsedAt(other), FIRST_KEY, "one of them is enough");
  const again = await runService({ database, env, apiKey: one.apiKey });
  t.after(() => again.remove());
  assert.equal(await keyUsedAt(again), FIRST_KEY);

  await withOwner(
    database.ownerUrl,
    (sql) => sql`delete from x3sproxy.api_keys where name = 'bootstrap'`,
  );
  const recovered = await runService({ database, env });
  t.after(() => recovered.remove());
  assert.notEqual(
    recovered.apiKey,
    one.apiKey,
    "docs/operations.md: how to get an API key when it is lost",
  );

  await recovered.cliJson(["agent", "destroy", "shared"]);
  for (const service of [other, again]) {
    await eventually(async () => (await refusalAt(service, token)) === "unknown_token", WITHIN_MS);
  }
});

/** A new server, a database on it, and whom a careful administrator makes for it; gives that one's URL. */
async function createOwner(t: TestContext): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-server-"));
  const server = await startEmbedded({ dataDir, log: createLog({ level: "error" }) });
  t.after(async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  await withOwner(server.ownerUrl, async (sql) => {
    await sql.unsafe(`create role "llm-owner" login createrole password '${PASSWORD}'`);
    await sql`create database "llm-proxy" owner "llm-owner"`;
  });
  return Object.assign(new URL(server.ownerUrl), {
    username: "llm-owner",
    password: encodeURIComponent(PASSWORD),
    pathname: "/llm-proxy",
  }).href;
}

function callModels(service: RunningService, token: string): Promise<Response> {
  return fetch(`${service.proxyUrl}/openai/v1/models`, {
    headers: { authorization: `Bearer ${token}` },
  });
}

async function refusalAt(service: RunningService, token: string): Promise<string | null> {
  const response = await callModels(service, token);
  await response.body?.cancel();
  return response.headers.get("x3sproxy-refusal");
}
