// Promise 3, measured on the whole product: within a second under load, and soon when notifications are cut. (That it is
// never later than 60 s, whatever happens, is shown with a clock in hand in test/grants/a-revoked-token-stops.test.ts.)
import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";
import { administer, ask, keepAsking, type Outcome } from "./calls.ts";

const OLD_KEY = "sk-proj-FAKE-old-key-that-is-rotated-0000-OLD1";
const NEW_KEY = "sk-proj-FAKE-new-key-that-is-rotated-0000-NEW2";
const CALLS_A_SECOND = 50;
const PROMISED_MS = 1000;
const PROMISED_WITHOUT_NOTIFICATIONS_MS = 60_000;

const SECRET = { provider: "openai", environment: "production" };

test("within a second, under 50 calls a second", async (t) => {
  const { service } = await start(t);
  const token = await service.deploy("busy");
  const load = keepAsking(service, token, 1000 / CALLS_A_SECOND);
  t.after(() => load.stop());
  await eventually(() => load.outcomes.length > CALLS_A_SECOND);

  const rotatedMs = await administer(service, "PUT", "/secrets", {
    ...{ ...SECRET, value: NEW_KEY, skipTest: true },
  });
  await delay(PROMISED_MS + 500);
  const destroyedMs = await administer(service, "DELETE", "/agents/busy");
  await delay(PROMISED_MS + 500);
  await load.stop();

  const took = load.outcomes.filter(({ startMs }) => startMs < destroyedMs - 100);
  assert.ok(took.every(({ status }) => status === 200));
  const seconds = ((took.at(-1)?.startMs ?? 0) - (took[0]?.startMs ?? 0)) / 1000;
  assert.ok(took.length / seconds > CALLS_A_SECOND * 0.8, "the load was there");

  const lastStart = (of: (outcome: Outcome) => boolean): number =>
    Math.max(...load.outcomes.filter(of).map(({ startMs }) => startMs));
  const oldKeyFor = lastStart(({ keyEnding }) => keyEnding === "OLD1") - rotatedMs;
  const oldTokenFor = lastStart(({ status }) => status === 200) - destroyedMs;
  t.diagnostic(
    `the old key was last used by a call ${Math.round(oldKeyFor)} ms after the rotation`,
  );
  t.diagnostic(`the old token last worked for a call ${Math.round(oldTokenFor)} ms after its end`);
  assert.ok(oldKeyFor < PROMISED_MS);
  assert.ok(oldTokenFor < PROMISED_MS);
  const last = load.outcomes.at(-1);
  assert.equal(last?.status, 401);
  assert.equal(last.refusal, "unknown_token");
});

test("an open WebSocket of a destroyed agent is closed within a second", async (t) => {
  const { service } = await start(t);
  const token = await service.deploy("talking");
  const url = `${service.proxyUrl.replace("http", "ws")}/openai/v1/realtime?model=look-alike`;
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
  t.after(() => socket.terminate());
  await once(socket, "message");
  const closed = once(socket, "close");
  const destroyedMs = await administer(service, "DELETE", "/agents/talking");
  await closed;
  assert.ok(performance.now() - destroyedMs < PROMISED_MS);
});

test("soon, when notifications are cut without a sign", async (t) => {
  const { service, database } = await start(t);
  const token = await service.deploy("unheard");
  const keyEnding = async (): Promise<string | undefined> => (await ask(service, token)).keyEnding;
  assert.equal(await keyEnding(), "OLD1");

  // The server's end of the listening connection stands still: it is open, and says nothing.
  const pid = await listenerOf(database);
  process.kill(pid, "SIGSTOP");
  try {
    const rotatedMs = await administer(service, "PUT", "/secrets", {
      ...{ ...SECRET, value: NEW_KEY, skipTest: true },
    });
    await delay(PROMISED_MS);
    assert.equal(await keyEnding(), "OLD1", "the notification was really cut");
    await eventually(async () => (await keyEnding()) === "NEW2", PROMISED_WITHOUT_NOTIFICATIONS_MS);
    t.diagnostic(`the new key was used ${Math.round(performance.now() - rotatedMs)} ms later`);
    const destroyedMs = await administer(service, "DELETE", "/agents/unheard");
    await eventually(async () => (await ask(service, token)).status === 401, PROMISED_MS);
    t.diagnostic(`and listens again: ${Math.round(performance.now() - destroyedMs)} ms`);
  } finally {
    process.kill(pid, "SIGCONT");
  }
});

async function start(t: TestContext): Promise<{ service: RunningService; database: TestDatabase }> {
  const database = await createTestDatabase();
  const lookAlike = createLookAlike({ keys: { openai: [OLD_KEY, NEW_KEY] } });
  const origin = await lookAlike.listen();
  const service = await runService({
    database,
    env: { X3SPROXY_ORIGIN_OPENAI: origin, X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8" },
  });
  t.after(async () => {
    await service.remove();
    await lookAlike.close();
    await database.drop();
  });
  await service.setSecret("openai", OLD_KEY);
  return { service, database };
}

/** The process id of the server's end of the connection that listens. */
async function listenerOf({ ownerUrl }: TestDatabase): Promise<number> {
  const rows = await withOwner(
    ownerUrl,
    (sql) => sql<{ pid: number }[]>`
      select pid from pg_stat_activity where datname = current_database() and query ilike 'listen %'`,
  );
  assert.equal(rows.length, 1);
  return rows[0]?.pid ?? 0;
}
