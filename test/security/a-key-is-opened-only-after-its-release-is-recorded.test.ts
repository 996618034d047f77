// Who had which key, and when, is in the audit before it happens. A release whose event can't be written doesn't happen.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { SealError } from "../../src/errors.ts";
import type { ReleasedSecret } from "../../src/vault/index.ts";
import { createManualClock, NO_DEADLINES } from "../grants/manual-clock.ts";
import { actorIn } from "../support/actor.ts";
import { ask, OK } from "../support/attack.ts";
import { breakAudit } from "../support/broken-audit.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWireUpstream, openWireClient, SWITCHING, webSocketHead } from "../support/wire.ts";
import { freshVault, ORIGIN, sealSample } from "../vault/fixture.ts";

const HOUR_MS = 3_600_000;

interface ReleaseRow {
  actor_kind: string;
  actor_name: string;
  address: string | null;
  method: string;
  target_kind: string;
  target_name: string;
  result: string;
  detail: string;
}

async function open(t: TestContext, answer = OK) {
  const clock = createManualClock();
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => socket.write(answer));
  });
  t.after(() => upstream.close());
  const plane = await openDataPlane(t, {
    clock,
    env: {
      ...NO_DEADLINES,
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ORIGIN_ANTHROPIC: upstream.origin,
    },
  });
  await plane.save("openai");
  await plane.save("anthropic");
  const get = (token: string, path = "/openai/v1/models") =>
    ask(plane.port, [`GET ${path} HTTP/1.1`, `Authorization: Bearer ${token}`]);
  const releases = () =>
    withOwner(
      plane.ownerUrl,
      (sql) => sql<ReleaseRow[]>`
        select actor_kind, actor_name, address, method, target_kind, target_name, result, detail
        from x3sproxy.audit_events where action = 'secret.release' order by id`,
    );
  /** How many there are, by agent, provider and version. */
  const counts = async (): Promise<Record<string, number>> => {
    const found: Record<string, number> = {};
    for (const { actor_name, detail } of await releases()) {
      const { provider, version } = JSON.parse(detail) as { provider: string; version: number };
      const name = `${actor_name} ${provider} ${version}`;
      found[name] = (found[name] ?? 0) + 1;
    }
    return found;
  };
  return { clock, upstream, plane, get, releases, counts };
}

/** While `act` runs, whoever writes an event waits. */
function withAuditHeld(ownerUrl: string, act: () => Promise<void>): Promise<void> {
  return withOwner(ownerUrl, async (sql) => {
    await sql.begin(async (tx) => {
      await tx`lock table x3sproxy.audit_events in exclusive mode`;
      await act();
    });
  });
}

test("one event an agent and version that is used, and none a call", async (t) => {
  const { clock, plane, get, releases, counts } = await open(t);
  const by = actorIn(plane.workspaceId);
  const tokens = [await plane.deploy("a"), await plane.deploy("b"), await plane.deploy("c")];
  const callAll = async (): Promise<void> => {
    for (const token of tokens) {
      const answers = await Promise.all([get(token), get(token), get(token)]);
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 200],
      );
    }
  };
  await callAll();
  await callAll();
  assert.deepEqual(await counts(), { "a openai 1": 1, "b openai 1": 1, "c openai 1": 1 });
  const [first] = await releases();
  assert.ok(first);
  const { detail, ...rest } = first;
  assert.deepEqual(rest, {
    actor_kind: "agent",
    actor_name: "a",
    address: "127.0.0.1",
    method: "proxy_token",
    target_kind: "secret",
    target_name: "openai/production",
    result: "done",
  });
  const { process: id, ...facts } = JSON.parse(detail) as Record<string, unknown>;
  assert.deepEqual(facts, { deployment: 1, provider: "openai", version: 1 });
  assert.match(String(id), /^[0-9a-f]{12}$/);
  const line = await plane.exchange();
  assert.ok(
    String(line["exchangeId"]).startsWith(`${String(id)}-`),
    "the log names the process, too",
  );

  // What is refused opens nothing.
  await plane.agents.changeScope(by, "c", { rules: ["GET /openai/v1/files"] });
  await eventually(async () => (await get(tokens[2] ?? "")).status === 403);
  assert.equal((await counts())["c openai 1"], 1);

  // A rotation is a new grant, with a new version.
  await plane.save("openai", "sk-FAKE-second-key-0123456789-abcdefghij");
  await plane.agents.changeScope(by, "c", { rules: null });
  await eventually(async () => (await get(tokens[2] ?? "")).status === 200);
  await callAll();
  assert.equal((await counts())["a openai 2"], 1);
  assert.equal((await counts())["a openai 1"], 1);

  // A grant that time has taken is read again, and needs no further event within the hour.
  clock.advance(60_000);
  await callAll();
  assert.equal((await counts())["a openai 2"], 1);
  clock.advance(HOUR_MS - 60_000);
  assert.equal((await get(tokens[0] ?? "")).status, 200);
  assert.equal((await counts())["a openai 2"], 2);
  assert.equal((await counts())["b openai 2"], 1);

  // Another secret of the same grant is a release of its own.
  assert.equal((await get(tokens[0] ?? "", "/anthropic/v1/models")).status, 200);
  assert.deepEqual(
    Object.entries(await counts()).filter(([name]) => name.includes("anthropic")),
    [["a anthropic 1", 1]],
  );
});

test("a WebSocket is one as well", async (t) => {
  const { plane, counts } = await open(t, SWITCHING);
  const token = await plane.deploy("a");
  const client = await openWireClient(plane.port);
  client.send(webSocketHead(token, "/openai/v1/realtime"));
  await client.until((received) => received.includes("101 Switching"));
  assert.deepEqual(await counts(), { "a openai 1": 1 });
  client.socket.destroy();
});

test("when its event can't be written the key stays shut, for calls and WebSockets", async (t) => {
  const { clock, upstream, plane, get, counts } = await open(t);
  const known = await plane.deploy("known");
  const fresh = await plane.deploy("fresh");
  assert.equal((await get(known)).status, 200);
  const heal = await breakAudit(plane.ownerUrl);
  const before = upstream.connections.length;
  const refused = async (token: string): Promise<void> => {
    const answer = await get(token);
    assert.deepEqual(
      [answer.status, answer.header("x3sproxy-refusal")],
      [503, "store_unavailable"],
    );
  };
  await refused(fresh);
  await refused(fresh);
  const client = await openWireClient(plane.port);
  client.send(webSocketHead(fresh, "/openai/v1/realtime"));
  assert.equal((await client.answer()).status, 503);
  assert.equal(upstream.connections.length, before, "nothing was forwarded");

  // A release that is on record counts to its own end, though the grant is read again meanwhile.
  for (const passedMs of [45_000, 15_000, HOUR_MS - 60_001]) {
    clock.advance(passedMs);
    assert.equal((await get(known)).status, 200);
  }
  clock.advance(1);
  await refused(known);

  await heal();
  clock.advance(1_000); // the pause after a failure
  await eventually(async () => (await get(fresh)).status === 200);
  await eventually(async () => (await get(known)).status === 200);
  assert.deepEqual(await counts(), { "known openai 1": 2, "fresh openai 1": 1 });
});

test("a busy agent waits for no release when its grant is renewed", async (t) => {
  const { clock, plane, get, counts } = await open(t);
  const token = await plane.deploy("a");
  assert.equal((await get(token)).status, 200);
  for (let renewals = 1; renewals <= 2; renewals += 1) {
    clock.advance(45_000);
    await withAuditHeld(plane.ownerUrl, async () => {
      assert.equal((await get(token)).status, 200, "while its event could not be written");
    });
    clock.advance(15_000);
    await withAuditHeld(plane.ownerUrl, async () => {
      assert.equal((await get(token)).status, 200, "the first call of a new grant");
    });
  }
  assert.deepEqual(await counts(), { "a openai 1": 1 });
  clock.advance(59_999);
  assert.equal((await get(token)).status, 200);
});

test("one that is not used any more is not released any more", async (t) => {
  const { clock, plane, get, counts } = await open(t);
  const token = await plane.deploy("a");
  assert.equal((await get(token, "/anthropic/v1/models")).status, 200);
  for (let hours = 1; hours <= 3; hours += 1) {
    assert.equal((await get(token)).status, 200);
    assert.equal((await counts())["a openai 1"], hours);
    clock.advance(HOUR_MS);
  }
  assert.equal((await counts())["a anthropic 1"], 1);
});

test("the vault itself opens nothing before", async () => {
  const vault = await freshVault();
  const held = vault.hold(sealSample(vault));
  assert.equal(held.released, undefined);
  assert.throws(() => vault.inject(held as ReleasedSecret, ORIGIN), SealError);
  assert.equal(held.opened, false);
  vault.inject(held.release(), ORIGIN);
  assert.equal(held.opened, true);
});
