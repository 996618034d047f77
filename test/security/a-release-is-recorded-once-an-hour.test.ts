// One event for an agent, a secret's version and a process at the first use, and at most one an hour from then on, whatever is forgotten,
// changed, redeployed or rolled back in between. No use without one in the hour before it.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { withOwner } from "../../src/db/connection.ts";
import { createManualClock, NO_DEADLINES } from "../grants/manual-clock.ts";
import { actorIn } from "../support/actor.ts";
import { ask, OK } from "../support/attack.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate, type TcpGate } from "../support/tcp-gate.ts";
import { createCannedUpstream } from "../support/wire.ts";
import { inputs } from "../support/generated.ts";

const EVERY_MS = 600_000;
const SEED = 20_261_130;
const AGENTS = ["a", "b"];

type Op =
  | { do: "call"; agent: string; process: number; provider: "openai" | "anthropic" }
  | { do: "pass"; ms: number }
  | { do: "rotate" | "roll back" }
  | { do: "redeploy" | "narrow" | "suspend and resume" | "destroy and deploy"; agent: string };

const agent = fc.constantFrom(...AGENTS);
const anOp: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      agent,
      process: fc.nat({ max: 1 }),
      provider: fc.constantFrom("openai" as const, "openai" as const, "anthropic" as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.constantFrom(1_000, 45_000, 60_000, 299_000, 300_000, EVERY_MS - 1, EVERY_MS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("rotate" as const, "roll back" as const) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "redeploy" as const,
        "narrow" as const,
        "suspend and resume" as const,
        "destroy and deploy" as const,
      ),
      agent,
    }),
  },
);

/** Two processes on one database. */
async function open(t: TestContext) {
  const clock = createManualClock();
  const upstream = await createCannedUpstream(OK);
  t.after(() => upstream.close());
  const env = {
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_ORIGIN_ANTHROPIC: upstream.origin,
    ...NO_DEADLINES,
    X3SPROXY_RELEASE_EVERY: `${EVERY_MS}ms`,
  };
  const first = await openDataPlane(t, { clock, env });
  const second = await openDataPlane(t, { clock, env, database: first.database });
  const planes = [first, second];
  const by = actorIn(first.workspaceId);
  await first.save("anthropic");
  const get = async (process: number, token: string, provider = "openai"): Promise<void> => {
    const plane = planes[process] ?? assert.fail();
    const lines = [`GET /${provider}/v1/models HTTP/1.1`, `Authorization: Bearer ${token}`];
    assert.equal((await ask(plane.port, lines)).status, 200);
  };
  /** How many there are, by agent's id, secret, version and process. */
  const counts = async (): Promise<Map<string, number>> => {
    const rows = await withOwner(
      first.ownerUrl,
      (sql) => sql<{ name: string; count: number }[]>`
        select concat_ws(' ', actor_id, target_id, detail::jsonb ->> 'version', detail::jsonb ->> 'process') as name,
          count(*)::int as count
        from x3sproxy.audit_events where action = 'secret.release' group by 1`,
    );
    return new Map(rows.map(({ name, count }) => [name, count]));
  };
  return { clock, upstream, planes, first, by, get, counts };
}

test("under any order of calls, changes and time the events are those of the rule", async (t) => {
  const { clock, upstream, planes, first, by, get, counts } = await open(t);
  const sum = { calls: 0, events: 0 };
  const keyOf = (v: number): string =>
    `sk-FAKE-key-${String(v).padStart(4, "0")}-0123456789-abcdefghij`;
  let versions = 0;
  let active = 0;
  const rotate = async (): Promise<void> => {
    active = ++versions;
    await first.save("openai", keyOf(active));
  };
  await rotate();
  const ids = new Map<string, string>();
  const tokens = new Map<string, string>();
  const deploy = async (name: string): Promise<void> => {
    const made = await first.agents.deploy(by, { name });
    ids.set(name, made.agent.id);
    tokens.set(name, made.token);
  };
  for (const name of AGENTS) await deploy(name);
  const timesUsed = (v: number): number =>
    upstream.connections
      .map((each) => each.received())
      .join("")
      .split(keyOf(v)).length;
  // Until when the last event of each counts, by agent, provider, version and process.
  const recorded = new Map<string, number>();
  let expected = 0;

  function used(name: string, provider: string, process: number): void {
    sum.calls += 1;
    const of = provider === "openai" ? active : 1;
    const key = `${ids.get(name)} ${provider} ${of} ${process}`;
    if (clock.monotonicMs() < (recorded.get(key) ?? 0)) return;
    recorded.set(key, clock.monotonicMs() + EVERY_MS);
    expected += 1;
  }

  async function call(name: string, process: number, provider = "openai"): Promise<void> {
    await get(process, tokens.get(name) ?? assert.fail(), provider);
    used(name, provider, process);
  }

  /** Both processes know it when a call of theirs went up with it. The key before has its release already. */
  async function changeKey(change: () => Promise<void>): Promise<void> {
    for (const process of planes.keys()) await call("a", process);
    await change();
    for (const process of planes.keys()) {
      await eventually(async () => {
        const before = timesUsed(active);
        await get(process, tokens.get("a") ?? assert.fail());
        return timesUsed(active) > before;
      });
      used("a", "openai", process);
    }
  }

  async function perform(op: Op): Promise<void> {
    switch (op.do) {
      case "call":
        return call(op.agent, op.process, op.provider);
      case "pass": {
        clock.advance(op.ms);
        return;
      }
      case "rotate":
        return changeKey(rotate);
      case "roll back": {
        if (active === 1) return;
        const [secret] = (await first.secrets.list(first.workspaceId)).filter(
          ({ provider }) => provider === "openai",
        );
        return changeKey(async () => {
          await first.secrets.rollback(by, secret?.id ?? assert.fail(), active - 1);
          active -= 1;
        });
      }
      case "redeploy":
        return deploy(op.agent);
      case "narrow":
        await first.agents.changeScope(by, op.agent, { rules: ["GET /**"] });
        return;
      case "suspend and resume":
        await first.agents.suspend(by, op.agent);
        await first.agents.resume(by, op.agent);
        // A call may come between the news of both.
        return deploy(op.agent);
      case "destroy and deploy":
        await first.agents.destroy(by, op.agent);
        return deploy(op.agent);
    }
  }

  await fc.assert(
    fc.asyncProperty(fc.array(anOp, { minLength: 10, maxLength: 40 }), async (ops) => {
      for (const op of ops) {
        await perform(op);
        const events = [...(await counts()).values()].reduce((a, b) => a + b, 0);
        assert.equal(events, expected, JSON.stringify(op));
      }
    }),
    { ...inputs(SEED, 6), endOnFailure: true },
  );
  sum.events = expected;
  assert.ok(sum.calls > sum.events + 20 && sum.events > 20, JSON.stringify(sum));
});

test("an event whose answer was lost does not count, though it was written", async (t) => {
  const clock = createManualClock();
  const upstream = await createCannedUpstream(OK);
  t.after(() => upstream.close());
  let gate: TcpGate | undefined;
  const plane = await openDataPlane(t, {
    clock,
    env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin },
    through: async (url) => {
      gate = await createTcpGate(url);
      return gate.url;
    },
  });
  t.after(() => gate?.close());
  await plane.save("openai");
  const token = await plane.deploy();
  const events = async (): Promise<number> => {
    const rows = await withOwner(
      plane.ownerUrl,
      (sql) => sql`select from x3sproxy.audit_events where action = 'secret.release'`,
    );
    return rows.length;
  };
  const get = () =>
    ask(plane.port, ["GET /openai/v1/models HTTP/1.1", `Authorization: Bearer ${token}`]);
  const waiting = await withOwner(plane.ownerUrl, (sql) =>
    sql.begin(async (tx) => {
      await tx`lock table x3sproxy.audit_events in exclusive mode`;
      const first = get();
      await eventually(async () => {
        const [row] = await tx<{ waits: boolean }[]>`
          select exists (select from pg_locks l
            where not l.granted and l.relation = 'x3sproxy.audit_events'::regclass) as waits`;
        return row?.waits;
      });
      await gate?.set("silent");
      return { first };
    }),
  );
  await eventually(async () => (await events()) === 1);
  assert.equal((await waiting.first).header("x3sproxy-refusal"), "store_unavailable");
  assert.equal(upstream.connections.length, 0, "nothing was forwarded");
  await gate?.set("refuse");
  await gate?.set("open");
  clock.advance(1_000); // the pause after a failure
  await eventually(async () => (await get()).status === 200);
  assert.equal(await events(), 2);
});
