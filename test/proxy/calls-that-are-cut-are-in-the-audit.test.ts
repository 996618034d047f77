// One event an agent, reason and sweep, however many calls; written after the cut, which waits for nothing.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { createManualClock } from "../grants/manual-clock.ts";
import { actorIn } from "../support/actor.ts";
import { breakAudit } from "../support/broken-audit.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

async function open(t: TestContext) {
  const upstream = await createWireUpstream(({ socket }) => {
    socket.once("data", () =>
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    );
  });
  t.after(() => upstream.close());
  const clock = createManualClock();
  const plane = await openDataPlane(t, {
    clock,
    env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin },
  });
  await plane.save("openai");
  /** An agent with this many open calls. */
  const busy = async (name: string, calls: number) => {
    const token = await plane.deploy(name);
    return Promise.all(
      Array.from({ length: calls }, async () => {
        const client = await openWireClient(plane.port);
        client.send(head(token, "/openai/v1/responses"));
        await client.until((received) => received.includes("hello"));
        return client;
      }),
    );
  };
  const cuts = () =>
    withOwner(plane.ownerUrl, async (sql) => {
      const rows = await sql<
        { actor_kind: string; target_name: string; result: string; detail: string }[]
      >`
        select actor_kind, target_name, result, detail from x3sproxy.audit_events
        where action = 'stream.cut' order by id`;
      return rows.map(({ actor_kind, target_name, result, detail }) => {
        const { count, process: id } = JSON.parse(detail) as { count: number; process: string };
        assert.equal(actor_kind, "service");
        assert.match(id, /^[0-9a-f]{12}$/);
        return `${target_name} ${result} ${count}`;
      });
    });
  const end = (what: "destroy" | "suspend", name: string) =>
    plane.agents[what](actorIn(plane.workspaceId), name);
  return { plane, clock, busy, cuts, end };
}

test("why, whose and how many", async (t) => {
  const { plane, clock, busy, cuts, end } = await open(t);
  const destroyed = await busy("destroyed", 3);
  const suspended = await busy("suspended", 2);
  await busy("other", 1);
  await end("destroy", "destroyed");
  await Promise.all(destroyed.map((client) => client.ended()));
  await end("suspend", "suspended");
  await Promise.all(suspended.map((client) => client.ended()));
  await eventually(async () => (await cuts()).length === 2);
  const drained = plane.drain();
  clock.advance(1_000);
  await drained;
  await eventually(async () => (await cuts()).length === 3);
  assert.deepEqual(await cuts(), [
    "destroyed unknown_token 3",
    "suspended agent_suspended 2",
    "other stopping 1",
  ]);
});

test("an audit that can't be written holds no cut up, and has it once it can", async (t) => {
  const { plane, busy, cuts } = await open(t);
  const clients = await busy("a", 3);
  const heal = await breakAudit(plane.ownerUrl);
  await withOwner(plane.ownerUrl, (sql) => sql`delete from x3sproxy.agents where name = 'a'`);
  const startMs = performance.now();
  await Promise.all(clients.map((client) => client.ended()));
  assert.ok(performance.now() - startMs < 1_000);
  await eventually(() => plane.logged().some(({ msg }) => msg === "cuts can't be recorded"));
  assert.deepEqual(await cuts(), []);
  await heal();
  await eventually(async () => (await cuts()).length > 0, 3_000);
  assert.deepEqual(await cuts(), ["a unknown_token 3"]);
});

test("what could not be written in ten minutes is given up, and counted", async (t) => {
  const { plane, clock, busy, cuts } = await open(t);
  const clients = await busy("a", 1);
  const heal = await breakAudit(plane.ownerUrl);
  await withOwner(plane.ownerUrl, (sql) => sql`delete from x3sproxy.agents where name = 'a'`);
  await Promise.all(clients.map((client) => client.ended()));
  await eventually(() => plane.logged().some(({ msg }) => msg === "cuts can't be recorded"));
  clock.advance(10 * 60_000);
  const lost = async () => (await plane.metrics.cutRecordsLost.get()).values[0]?.value;
  await eventually(async () => (await lost()) === 1, 3_000);
  await heal();
  assert.deepEqual(await cuts(), []);
});
