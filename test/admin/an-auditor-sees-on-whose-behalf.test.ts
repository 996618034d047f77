import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { insertMinute } from "../support/activity.ts";
import { openAdmin, type Answer } from "./fixture.ts";

const MINUTE_MS = 60_000;

async function open(t: TestContext) {
  const admin = await openAdmin(t);
  const { owner, workspaceId } = admin;
  const nowMs = Date.now() - (Date.now() % MINUTE_MS);
  const add = (
    n: number,
    agent: string,
    context: Record<string, string>,
    requests = 1,
    workspace = workspaceId,
  ) => owner`
    insert into x3sproxy.activity_contexts (workspace_id, minute, agent, provider, context, requests)
    values (${workspace}, ${new Date(nowMs - n * MINUTE_MS)}, ${agent}, 'openai', ${owner.json(context)}, ${requests})`;
  return { ...admin, nowMs, add, at: (n: number) => new Date(nowMs - n * MINUTE_MS).toISOString() };
}

const rowsOf = ({ body }: Answer): Record<string, unknown>[] =>
  body["contexts"] as Record<string, unknown>[];

it("by minute, agent and provider, newest first, in pages and by filter; of their own workspace", async (t) => {
  const { add, at, call, addKey, addWorkspace } = await open(t);
  const auditor = await addKey("auditor");
  const elsewhere = await addWorkspace("elsewhere");
  for (let n = 0; n < 3; n++) {
    for (const run of ["1", "2"]) await add(n, "coder", { run, user: "alice" }, n + 1);
  }
  await add(1, "tester", { reason: "nightly" });
  await add(0, "coder", { user: "stranger" }, 9, elsewhere);
  const get = (query: string) => call("GET", `/api/v1/contexts?${query}`, undefined, auditor);
  assert.deepEqual(rowsOf(await get("agent=tester")), [
    {
      minute: at(1),
      agent: "tester",
      provider: "openai",
      context: { reason: "nightly" },
      requests: 1,
    },
  ]);
  const all = rowsOf(await get(""));
  assert.equal(all.length, 7);
  assert.ok(!JSON.stringify(all).includes("stranger"));
  const paged: unknown[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const answer: Answer = await get(`limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`);
    assert.equal(answer.status, 200, answer.text);
    paged.push(...rowsOf(answer));
    cursor = answer.body["nextCursor"] as string | null;
  }
  assert.deepEqual(paged, all);
  const minutes = all.map(({ minute }) => String(minute));
  assert.deepEqual(minutes, minutes.toSorted().reverse());
  assert.equal(rowsOf(await get(`from=${at(1)}&to=${at(0)}&agent=coder`)).length, 2);
  for (const query of ["from=yesterday", "cursor=nonsense", "provider=openai"]) {
    assert.equal((await get(query)).status, 422, query);
  }
  for (const role of ["viewer", "operator", "admin"] as const) {
    const { status } = await call("GET", "/api/v1/contexts", undefined, await addKey(role));
    assert.equal(status, 403, role);
  }
});

it("whoever sees activity sees it with each minute", async (t) => {
  const { add, call, owner, workspaceId, nowMs, addKey } = await open(t);
  await insertMinute(owner, { workspaceId, agent: "coder", atMs: nowMs, requests: 9 });
  await insertMinute(owner, { workspaceId, agent: "coder", atMs: nowMs - MINUTE_MS });
  await insertMinute(owner, { workspaceId, agent: "other", atMs: nowMs });
  await add(0, "coder", { run: "1" }, 2);
  await add(0, "coder", { run: "2" }, 5);
  const viewer = await addKey("viewer");
  const { body } = await call("GET", "/api/v1/activity", undefined, viewer);
  const rows = body["activity"] as { agent: string; contexts: unknown }[];
  assert.deepEqual(
    rows.map(({ agent, contexts }) => [agent, contexts]),
    [
      ["other", []],
      [
        "coder",
        [
          { context: { run: "2" }, requests: 5 },
          { context: { run: "1" }, requests: 2 },
        ],
      ],
      ["coder", []],
    ],
  );
});
