import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY, openAdmin, stringAt, type Answer } from "./fixture.ts";
import { openPeople, OWNER_EMAIL } from "./people.ts";

const latestKey = (list: string, ...key: unknown[]) =>
  Buffer.from(JSON.stringify([list, key])).toString("base64url");

/** The rows of a list by what `name` says of each, page after page; `between` runs after each page. */
async function walk(
  call: (method: string, path: string) => Promise<Answer>,
  path: string,
  o: { key: string; name: string; between?: () => Promise<unknown> },
): Promise<string[][]> {
  const pages: string[][] = [];
  for (let query = ""; ;) {
    const answer: Answer = await call("GET", `${path}${query}`);
    assert.equal(answer.status, 200, answer.text);
    pages.push((answer.body[o.key] as Record<string, string>[]).map((row) => row[o.name] ?? ""));
    await o.between?.();
    if (answer.body["nextCursor"] === null) return pages;
    query = `&cursor=${stringAt(answer, "nextCursor")}`;
  }
}

it("agents, secrets and the audit come in pages whose ends meet", async (t) => {
  const { call } = await openAdmin(t);
  const names = ["a1", "a10", "a2", "b.c", "b_c"];
  for (const [place, name] of names.entries()) {
    assert.equal((await call("POST", `/api/v1/agents/${name}/deployments`, {})).status, 201);
    await call("PUT", "/api/v1/secrets", {
      provider: "openai",
      environment: `staging-${place}`,
      value: FAKE_KEY,
      skipTest: true,
    });
  }
  const all = await walk(call, "/api/v1/agents?limit=200", { key: "agents", name: "name" });
  assert.equal(all.length, 1);
  assert.deepEqual(all.flat().sort(), [...names].sort());
  for (const limit of [1, 2, 5]) {
    const pages = await walk(call, `/api/v1/agents?limit=${limit}`, {
      key: "agents",
      name: "name",
    });
    assert.deepEqual(pages.flat(), all.flat());
    assert.equal(pages.length, Math.ceil(names.length / limit));
  }
  const secrets = await walk(call, "/api/v1/secrets?limit=2", {
    key: "secrets",
    name: "environment",
  });
  assert.deepEqual(secrets, [
    ["staging-0", "staging-1"],
    ["staging-2", "staging-3"],
    ["staging-4"],
  ]);
  const events = await walk(call, "/api/v1/audit?limit=3", { key: "events", name: "id" });
  const ids = events.flat().map(Number);
  assert.deepEqual(
    ids,
    [...ids].sort((a, b) => b - a),
  );
  assert.equal(new Set(ids).size, 1 + 2 * names.length, "the first key of all is in it, too");
});

it("invitations and one's own sessions come latest first, in pages whose ends meet, however close they were made", async (t) => {
  const { first, browse, owner } = await openPeople(t);
  const emails = ["e", "c", "a", "d", "b"].map((name) => `${name}@example.test`);
  for (const email of emails) {
    const invited = await first.call("POST", "/invitations", { email, role: "viewer" });
    assert.equal(invited.status, 201, invited.text);
  }
  for (let i = 0; i < 4; i++) assert.equal((await browse().signIn(OWNER_EMAIL)).status, 200);
  const lists = [
    { path: "/invitations", key: "invitations", name: "email", count: 5 },
    { path: "/me/sessions", key: "sessions", name: "id", count: 5 },
  ];
  const call = (method: string, path: string) => first.call(method, path);
  for (const made of ["as they were", "a microsecond apart", "at once"]) {
    if (made !== "as they were") {
      for (const table of ["invitations", "sessions"]) {
        await owner`
          update x3sproxy.${owner(table)} set created_at = date_trunc('second', created_at - interval '1 minute')`;
        if (made === "at once") {
          await owner`update x3sproxy.${owner(table)} set created_at = (select min(created_at) from x3sproxy.${owner(table)})`;
          continue;
        }
        await owner`
          with placed as (select id, row_number() over (order by id) as place from x3sproxy.${owner(table)})
          update x3sproxy.${owner(table)} t set created_at = (select min(created_at) from x3sproxy.${owner(table)}) +
            placed.place * interval '1 microsecond' from placed where placed.id = t.id`;
      }
    }
    for (const { path, key, name, count } of lists) {
      const all = await walk(call, `${path}?limit=200`, { key, name });
      assert.deepEqual([all.length, new Set(all.flat()).size], [1, count], path);
      if (made === "as they were" && key === "invitations") {
        assert.deepEqual(all.flat(), emails.toReversed());
      }
      for (const limit of [1, 2, 3, 5]) {
        const pages = await walk(call, `${path}?limit=${limit}`, { key, name });
        assert.deepEqual(pages.flat(), all.flat(), `${path} ${limit} ${made}`);
        assert.equal(pages.length, Math.ceil(count / limit));
      }
    }
  }
  const id = "00000000-0000-0000-0000-000000000000";
  for (const wrong of [
    latestKey("invitations", "1", "x"),
    latestKey("invitations", "-1", id),
    latestKey("invitations", "1e3", id),
    latestKey("invitations", "infinity", id),
    latestKey("invitations", "9".repeat(17), id),
    latestKey("sessions", "1", id),
  ]) {
    const answer = await first.call("GET", `/invitations?cursor=${wrong}`);
    assert.deepEqual([answer.status, answer.body["code"]], [422, "cursor_invalid"], wrong);
  }
  for (const path of ["/invitations", "/me/sessions"]) {
    assert.equal((await first.call("GET", `${path}?limit=0`)).status, 422);
    assert.equal((await first.call("GET", `${path}?offset=1`)).status, 422);
  }
  const past = latestKey("invitations", "0", id);
  assert.deepEqual((await first.call("GET", `/invitations?cursor=${past}`)).body, {
    invitations: [],
    total: null,
    nextCursor: null,
  });
});

it("rows that come and go between two pages neither repeat nor hide others", async (t) => {
  const { call } = await openAdmin(t);
  const names = ["b", "d", "f", "h"];
  for (const name of names) await call("POST", `/api/v1/agents/${name}/deployments`, {});
  let round = 0;
  const pages = await walk(call, "/api/v1/agents?limit=2", {
    key: "agents",
    name: "name",
    between: async () => {
      round++;
      if (round > 1) return;
      await call("POST", "/api/v1/agents/a/deployments", {});
      await call("POST", "/api/v1/agents/c/deployments", {});
      await call("DELETE", "/api/v1/agents/d");
    },
  });
  assert.deepEqual(pages, [
    ["b", "d"],
    ["f", "h"],
  ]);
});

it("a cursor that is not this list's, and a limit out of range, are 422", async (t) => {
  const { call } = await openAdmin(t);
  for (const name of ["a", "b"]) await call("POST", `/api/v1/agents/${name}/deployments`, {});
  const cursor = stringAt(await call("GET", "/api/v1/agents?limit=1"), "nextCursor");
  const forge = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  for (const wrong of [
    "x",
    "%00",
    `${cursor}=`,
    `${cursor}!`,
    cursor.slice(0, -1),
    forge(null),
    forge(["agents"]),
    forge(["agents", []]),
    forge(["agents", ["a", "b"]]),
    forge(["agents", [1]]),
    forge(["agents", ["' or 1=1 --"]]),
    forge(["agents", ["A"]]),
    forge(["secrets", ["a"]]),
    "x".repeat(1000),
  ]) {
    const answer = await call("GET", `/api/v1/agents?cursor=${wrong}`);
    assert.equal(answer.status, 422, wrong);
    assert.equal(answer.body["code"], "cursor_invalid", wrong);
  }
  assert.equal((await call("GET", `/api/v1/secrets?cursor=${cursor}`)).status, 422);
  for (const id of ["0", "-1", "1.5", "9223372036854775808", "1e3", " 1"]) {
    const answer = await call("GET", `/api/v1/audit?cursor=${forge(["events", [id]])}`);
    assert.equal(answer.body["code"], "cursor_invalid", id);
  }
  for (const query of [
    "limit=0",
    "limit=201",
    "limit=-1",
    "limit=1.5",
    "limit=many",
    "limit=",
    "limit=1&limit=2",
    "cursor=a&cursor=b",
    "limits=1",
    `cursor=${"x".repeat(1001)}`,
  ]) {
    const answer = await call("GET", `/api/v1/agents?${query}`);
    assert.equal(answer.status, 422, query);
    assert.equal(answer.body["code"], "invalid_request", query);
  }
});

it("a cursor opens nothing in another workspace", async (t) => {
  const { call, addKey, addWorkspace } = await openAdmin(t);
  for (const name of ["a", "b"]) await call("POST", `/api/v1/agents/${name}/deployments`, {});
  const cursor = stringAt(await call("GET", "/api/v1/agents?limit=1"), "nextCursor");
  const stranger = await addKey("owner", await addWorkspace("elsewhere"));
  const { body } = await call("GET", `/api/v1/agents?cursor=${cursor}`, undefined, stranger);
  assert.deepEqual(body, { agents: [], total: null, nextCursor: null });
});
