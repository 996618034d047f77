import assert from "node:assert/strict";
import { test } from "node:test";
import postgres from "postgres";
import { assertHides } from "../admin/fixture.ts";
import { FAKE_KEY, openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";

const MARK = "FAKE-mark-7f3c9a";
const PATH_MARK = "fake-path-5d1e8b";

test("no body, header, query, token or key is in any of the tables, and a path in none but that of calls", async (t) => {
  const upstream = await createHttpUpstream((_request, response) => {
    response.writeHead(200, { "x-answer": `${MARK}-answer-header` });
    response.end(`${MARK}-answer-body`);
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const owner = postgres(plane.ownerUrl, { max: 1 });
  t.after(() => owner.end());
  const call = async (path: string, token = plane.token): Promise<void> => {
    const response = await fetch(`${plane.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "x-mark": `${MARK}-header` },
      body: `${MARK}-body`,
    });
    await response.text();
  };
  await call(`/openai/v1/${PATH_MARK}?${MARK}=query`);
  await call(`/${MARK.toLowerCase()}-provider/v1/models`);
  await call(`/mistral/v1/${MARK}-path`);
  await call("/openai/v1/models", "x3sproxy_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE");
  const tables = await owner<{ name: string }[]>`
    select relname as name from pg_class
    where relnamespace = 'x3sproxy'::regnamespace and relkind = 'r' and relname like 'activity%'
    order by relname`;
  assert.equal(tables.length, 6);
  const dump = async (without?: string): Promise<string> => {
    const dumped = tables.filter(({ name }) => name !== without);
    const parts = dumped.map(async ({ name }) =>
      JSON.stringify(await owner`select t::text from ${owner(`x3sproxy.${name}`)} t`),
    );
    return (await Promise.all(parts)).join("\n");
  };
  await eventually(async () => {
    const [row] = await owner<{ sum: number }[]>`
      select sum(requests)::float8 as sum from x3sproxy.activity_minutes`;
    return row?.sum === 3;
  });
  await eventually(async () => (await owner`select from x3sproxy.activity_calls`).length === 1);
  const text = await dump();
  assert.ok(text.includes("openai") && text.includes("agent"));
  for (const secret of [MARK, FAKE_KEY, plane.token]) assertHides(text, secret);
  assert.equal(text.split(PATH_MARK).length - 1, 1);
  assertHides(await dump("activity_calls"), PATH_MARK);
});
