import assert from "node:assert/strict";
import { it } from "node:test";
import { withOwner } from "../../src/db/index.ts";
import { ask, openTarget } from "../support/attack.ts";
import { eventually } from "../support/eventually.ts";
import { lookWith, openDatabase, saidOf, type Settings } from "./fixture.ts";

const ID = "trusted-direct";

it("a call that comes straight from a trusted range is found, and one through a proxy is not", async (t) => {
  const target = await openTarget(t, { env: { X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8" } });
  const { plane, token } = target;
  const look = (blocks: string | undefined): ReturnType<typeof lookWith> =>
    lookWith({
      DATABASE_URL: plane.ownerUrl,
      X3SPROXY_MASTER_KEY: plane.database.masterKey,
      X3SPROXY_DATA_DIR: "/nowhere",
      X3SPROXY_ADMIN_ADDR: "127.0.0.1:1",
      X3SPROXY_TRUSTED_PROXIES: blocks,
    });
  const call = async (...fields: string[]): Promise<void> => {
    const before = await recorded();
    const line = "GET /openai/v1/models HTTP/1.1";
    const { status } = await ask(plane.port, [line, `Authorization: Bearer ${token}`, ...fields]);
    assert.equal(status, 200);
    await eventually(async () => (await recorded()) > before);
  };
  const recorded = async (): Promise<number> => {
    const [row] = await withOwner(
      plane.ownerUrl,
      (sql) => sql<{ calls: number }[]>`
        select coalesce(sum(requests), 0)::int as calls from x3sproxy.activity_calls`,
    );
    return row?.calls ?? 0;
  };

  assert.equal(saidOf(await look(undefined), ID), "ok");
  assert.equal(saidOf(await look("127.0.0.0/8"), ID), "skipped", "nothing is known yet");
  await call("X-Forwarded-For: 203.0.113.7");
  assert.equal(saidOf(await look("127.0.0.0/8"), ID), "ok");
  await call();
  const found = await look("10.0.0.0/24,127.0.0.0/8");
  assert.equal(saidOf(found, ID), "warning");
  const finding = found.findings.find(({ id }) => id === ID);
  assert.match(finding?.what ?? "", /straight from 127\.0\.0\.1, which X3SPROXY_TRUSTED_PROXIES/);
  assert.equal(saidOf(await look("10.0.0.0/24"), ID), "ok", "not of another range");
  assert.equal(saidOf(await look(undefined), ID), "ok");
});

it("calls whose addresses were not kept, and a table that can't be read in time, are no good news", async (t) => {
  const { settings, ownerUrl } = await openDatabase(t);
  const trusting: Settings = { ...settings, X3SPROXY_TRUSTED_PROXIES: "10.0.0.0/24" };
  await withOwner(
    ownerUrl,
    (sql) => sql`
      insert into x3sproxy.activity_calls (workspace_id, agent_id, hour, provider, method, path, address, requests)
      select id, gen_random_uuid(), now(), '', '', '', unnest(array['', '203.0.113.7']), 1 from x3sproxy.workspaces`,
  );
  assert.equal(saidOf(await lookWith(trusting), ID), "skipped");

  await withOwner(ownerUrl, async (sql) => {
    await sql.begin(async (tx) => {
      await tx`lock table x3sproxy.activity_calls in access exclusive mode`;
      const look = await lookWith(trusting);
      assert.equal(saidOf(look, ID), "skipped");
      assert.equal(saidOf(look, "database"), "ok", "the rest is looked at");
    });
  });
});

it("a whole network that is trusted is told from the settings alone", async () => {
  const said = async (blocks: string): Promise<string | undefined> =>
    saidOf(
      await lookWith({ X3SPROXY_DATA_DIR: "/nowhere", X3SPROXY_TRUSTED_PROXIES: blocks }),
      "trusted-proxies",
    );
  for (const blocks of [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fdaa::/16",
    "fd00::/48",
  ]) {
    assert.equal(await said(`10.0.0.5/32,${blocks}`), "warning", blocks);
  }
  for (const blocks of ["10.0.0.5", "10.0.0.0/24", "fd00:0:0:1::/64", "127.0.0.0/8"]) {
    assert.equal(await said(blocks), "ok", blocks);
  }
});
