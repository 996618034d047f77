import assert from "node:assert/strict";
import { it } from "node:test";
import { insertMinute } from "../support/activity.ts";
import { openAdmin, type Answer } from "./fixture.ts";

const MINUTE_MS = 60_000;

const rowsOf = (answer: Answer): Record<string, unknown>[] =>
  answer.body["activity"] as Record<string, unknown>[];

it("a minute shows its counts and averages", async (t) => {
  const { call, owner, workspaceId } = await openAdmin(t);
  const atMs = Date.now();
  await insertMinute(owner, {
    workspaceId,
    agent: "coder",
    atMs,
    requests: 4,
    errors: 1,
    broken: 1,
  });
  await owner`
    insert into x3sproxy.activity_minutes
    values (${workspaceId}, to_timestamp(0), 'refused', '', 3, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0)`;
  const { body } = await call("GET", "/api/v1/activity");
  assert.deepEqual(body, {
    activity: [
      {
        minute: new Date(atMs - (atMs % MINUTE_MS)).toISOString(),
        agent: "coder",
        provider: "openai",
        ...{ requests: 4, status2xx: 4, status3xx: 0, status4xx: 0, status5xx: 0 },
        ...{ refusals: 0, broken: 1, requestBytes: 40, responseBytes: 400 },
        ...{ firstByteMsAverage: 20, totalMsAverage: 50, contexts: [] },
      },
      {
        minute: "1970-01-01T00:00:00.000Z",
        agent: "refused",
        provider: "",
        ...{ requests: 3, status2xx: 0, status3xx: 0, status4xx: 3, status5xx: 0 },
        ...{ refusals: 3, broken: 0, requestBytes: 0, responseBytes: 0 },
        ...{ firstByteMsAverage: null, totalMsAverage: null, contexts: [] },
      },
    ],
    nextCursor: null,
  });
});

it("newest first, each row once, also with new ones coming in between", async (t) => {
  const { call, owner, workspaceId } = await openAdmin(t);
  const nowMs = Date.now();
  for (let n = 0; n < 4; n++) {
    for (const agent of ["a", "b"]) {
      for (const provider of ["groq", "openai"]) {
        await insertMinute(owner, { workspaceId, agent, provider, atMs: nowMs - n * MINUTE_MS });
      }
    }
  }
  const seen: string[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const query = cursor === null ? "" : `&cursor=${cursor}`;
    const answer: Answer = await call("GET", `/api/v1/activity?limit=3${query}`);
    assert.equal(answer.status, 200, answer.text);
    seen.push(
      ...rowsOf(answer).map(
        ({ minute, agent, provider }) => `${String(minute)} ${String(agent)} ${String(provider)}`,
      ),
    );
    cursor = answer.body["nextCursor"] as string | null;
    const atMs = nowMs + ++pages * MINUTE_MS;
    await insertMinute(owner, { workspaceId, agent: "a", atMs });
  } while (cursor !== null);
  assert.equal(pages, 6);
  assert.equal(new Set(seen).size, 16);
  assert.deepEqual(seen, [...seen].sort().reverse());
});

it("by time, agent and provider", async (t) => {
  const { call, owner, workspaceId } = await openAdmin(t);
  const nowMs = Date.now() - (Date.now() % MINUTE_MS);
  const at = (n: number): string => new Date(nowMs - n * MINUTE_MS).toISOString();
  for (let n = 0; n < 3; n++) {
    await insertMinute(owner, { workspaceId, agent: "a", atMs: nowMs - n * MINUTE_MS });
    await insertMinute(owner, {
      ...{ workspaceId, agent: "b", provider: "groq", atMs: nowMs - n * MINUTE_MS },
    });
  }
  const count = async (query: string): Promise<number> =>
    rowsOf(await call("GET", `/api/v1/activity?${query}`)).length;
  assert.equal(await count(""), 6);
  assert.equal(await count(`from=${at(1)}`), 4);
  assert.equal(await count(`to=${at(1)}`), 2);
  assert.equal(await count(`from=${at(1)}&to=${at(0)}&agent=a`), 1);
  assert.equal(await count("provider=groq"), 3);
  assert.equal(await count("agent=a&provider=groq"), 0);
});

it("what is wrong with a question is said", async (t) => {
  const { call } = await openAdmin(t);
  for (const query of ["limit=0", "limit=201", "from=yesterday", "cursor=nonsense", "colour=red"]) {
    assert.equal((await call("GET", `/api/v1/activity?${query}`)).status, 422, query);
  }
});
