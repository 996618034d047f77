import assert from "node:assert/strict";
import { it } from "node:test";
import { createAuditRetention } from "../../src/audit/index.ts";
import { createPool } from "../../src/db/index.ts";
import { FAKE_KEY, assertHides, openAdmin, stringAt } from "./fixture.ts";

interface Event {
  readonly id: string;
  readonly at: string;
  readonly action: string;
  readonly target: { readonly id: string; readonly name: string };
}

async function openWithEvents(t: Parameters<typeof openAdmin>[0]) {
  const admin = await openAdmin(t);
  const { call, addKey } = admin;
  await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY, skipTest: true });
  const deployed = await call("POST", "/api/v1/agents/coder/deployments", {});
  const operator = await addKey("operator");
  await call("DELETE", "/api/v1/agents/coder", undefined, operator);
  const events = async (query = ""): Promise<Event[]> => {
    const answer = await call("GET", `/api/v1/audit${query}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.body["events"] as Event[];
  };
  return { ...admin, events, token: stringAt(deployed, "token") };
}

it("each change is there, newest first, with who, from where, to what, and no secret", async (t) => {
  const { call, events, token, addKey } = await openWithEvents(t);
  const found = await events();
  assert.deepEqual(
    found.map(({ action }) => action),
    ["agent.destroy", "agent.deploy", "secret.set", "api_key.create"],
  );
  assert.partialDeepStrictEqual(found, [
    {
      actor: { kind: "api_key", name: "operator" },
      address: "127.0.0.1",
      method: "api_key",
      target: { kind: "agent", name: "coder" },
      afterHash: null,
      result: "done",
    },
    { actor: { name: "bootstrap" }, beforeHash: null },
    { target: { kind: "secret", name: "openai/production" } },
  ]);
  const auditor = await addKey("auditor");
  const { text } = await call("GET", "/api/v1/audit", undefined, auditor);
  assert.deepEqual((JSON.parse(text) as { events: unknown }).events, found);
  for (const secret of [FAKE_KEY, token]) assertHides(text, secret);
});

it("the filters narrow it, together", async (t) => {
  const { events, owner } = await openWithEvents(t);
  // A minute apart, the later ids earlier: what counts is the time.
  await owner`update x3sproxy.audit_events set created_at = now() - id * interval '1 minute'`;
  const [begun, saved, deployed, destroyed] = await events();
  assert.ok(destroyed && deployed && saved && begun);
  assert.ok(Number(begun.id) < Number(saved.id));
  const ids = async (query: string) => (await events(query)).map(({ id }) => id);
  assert.deepEqual(await ids("?action=agent.deploy"), [deployed.id]);
  assert.deepEqual(await ids("?actor=operator"), [destroyed.id]);
  assert.deepEqual(await ids("?target=coder"), [deployed.id, destroyed.id]);
  assert.deepEqual(await ids(`?target=${saved.target.id}`), [saved.id]);
  assert.deepEqual(await ids("?target=coder&actor=operator"), [destroyed.id]);
  assert.deepEqual(await ids("?target=coder&action=secret.set"), []);
  const at = encodeURIComponent(deployed.at);
  assert.deepEqual(await ids(`?from=${at}`), [begun.id, saved.id, deployed.id]);
  assert.ok(!(await ids(`?to=${at}`)).includes(deployed.id), "`to` is exclusive");
  assert.deepEqual(await ids("?actor=%27%20or%201%3D1%20--"), []);
});

it("what is no time or no filter is 422", async (t) => {
  const { call } = await openAdmin(t);
  for (const query of ["from=yesterday", "to=1", "from=2026-11-25", "agent=coder", "action="]) {
    const { status } = await call("GET", `/api/v1/audit?${query}`);
    assert.equal(status, query === "action=" ? 200 : 422, query);
  }
});

it("another workspace's events are not there", async (t) => {
  const { call, addKey, addWorkspace } = await openWithEvents(t);
  const stranger = await addKey("auditor", await addWorkspace("elsewhere"));
  const { body } = await call("GET", "/api/v1/audit", undefined, stranger);
  assert.deepEqual(body, { events: [], nextCursor: null, prunedBefore: null });
});

it("where the audit begins is said, once its oldest events were pruned", async (t) => {
  const { call, owner, sequencer, database } = await openWithEvents(t);
  const at = new Date(Math.floor(Date.now() / 86_400_000) * 86_400_000 - 365 * 86_400_000);
  await sequencer.run();
  await owner`
    update x3sproxy.audit_events set created_at = ${at}::timestamptz - interval '1 day' where action <> 'agent.destroy'`;
  const pool = createPool(database.controlUrl);
  await createAuditRetention({ pool }).prune();
  await pool.close();
  await sequencer.run();
  const { body } = await call("GET", "/api/v1/audit");
  assert.deepEqual(body["prunedBefore"], { index: 3, at: at.toISOString(), days: 365 });
  assert.partialDeepStrictEqual(body["events"], [
    {
      action: "audit.prune",
      index: 4,
      detail: JSON.stringify({ before: 3, count: 3, days: 365, until: at.toISOString() }),
      erased: [],
    },
    {
      action: "agent.destroy",
      index: 3,
      detail: JSON.stringify({ deployment: "1", environment: "production" }),
    },
  ]);
});
