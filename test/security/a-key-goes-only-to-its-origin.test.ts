// A key is sealed for one origin. Whoever changes where calls go, in the settings or in the database, gets a refusal, not a key.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Sql } from "../../src/db/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import { newId } from "../../src/platform/ids.ts";
import { ask, openTarget, type Target } from "../support/attack.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createCannedUpstream, type WireUpstream } from "../support/wire.ts";
import { actorIn } from "../support/actor.ts";

const OTHER_KEY = "sk-FAKE-other-key-9876543210-zyxwvut";

async function openThief(t: TestContext): Promise<WireUpstream> {
  const thief = await createCannedUpstream("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen");
  t.after(() => thief.close());
  return thief;
}

/** Asks until the change has arrived, and gives the refusal. */
function refusalOf(
  { plane, token }: Pick<Target, "plane" | "token">,
  provider = "openai",
): Promise<string> {
  return eventually(async () => {
    const { body, header } = await ask(plane.port, [
      `GET /${provider}/v1/models HTTP/1.1`,
      `Authorization: Bearer ${token}`,
    ]);
    assert.notEqual(body, "stolen");
    return header("x3sproxy-refusal");
  });
}

test("another origin in the settings, after the key was saved", async (t) => {
  const thief = await openThief(t);
  const target = await openTarget(t);
  const { upstream, plane, token } = target;
  const after = await openDataPlane(t, {
    database: plane.database,
    env: { X3SPROXY_ORIGIN_OPENAI: thief.origin },
  });
  assert.equal(await refusalOf({ plane: after, token }), "origin_changed");

  // Nor does it help to write the new origin into the row.
  await withOwner(plane.ownerUrl, async (sql: Sql) => {
    await sql`update x3sproxy.secret_versions set origin = ${thief.origin}`;
  });
  await eventually(async () => (await refusalOf({ plane: after, token })) === "secret_unreadable");
  assert.equal(await refusalOf(target), "origin_changed");
  assert.equal(thief.connections.length, 0);
  assert.equal(upstream.connections.length, 0);
});

test("rows edited by hand", async (t) => {
  const thief = await openThief(t);
  const { upstream, plane, token } = await openTarget(t, {
    providers: ["openai"],
    env: { X3SPROXY_ORIGIN_ANTHROPIC: thief.origin, X3SPROXY_ORIGIN_AZURE_OPENAI: thief.origin },
  });
  const target = { plane, token };
  const edit = (fn: (sql: Sql) => Promise<unknown>): Promise<unknown> =>
    withOwner(plane.ownerUrl, fn);

  // The key's provider: the row would now be Anthropic's, whose origin is the thief's.
  await edit((sql) => sql`update x3sproxy.secrets set provider = 'anthropic'`);
  assert.equal(await refusalOf(target, "anthropic"), "origin_changed");
  await edit((sql) => sql`update x3sproxy.secret_versions set origin = ${thief.origin}`);
  await eventually(async () => (await refusalOf(target, "anthropic")) === "secret_unreadable");
  await edit((sql) => sql`update x3sproxy.secrets set provider = 'azure-openai'`);
  await eventually(async () => (await refusalOf(target, "azure-openai")) === "secret_unreadable");

  // The sealed value, put into the row of a secret that is sealed for the thief's origin.
  await plane.save("anthropic", OTHER_KEY);
  await edit(
    (sql) => sql`
      update x3sproxy.secret_versions v set wrapped_key = o.wrapped_key, ciphertext = o.ciphertext
      from x3sproxy.secrets s, x3sproxy.secret_versions o join x3sproxy.secrets os on os.id = o.secret_id
      where s.id = v.secret_id and s.provider = 'anthropic' and os.provider = 'azure-openai'`,
  );
  assert.equal(await refusalOf(target, "anthropic"), "secret_unreadable");
  assert.equal(thief.connections.length, 0);
  assert.equal(upstream.connections.length, 0);
});

test("a key moved into another workspace, which has a provider of its own at the thief's", async (t) => {
  const thief = await openThief(t);
  const { upstream, plane } = await openTarget(t);
  const stranger = newId();
  await withOwner(plane.ownerUrl, async (sql: Sql) => {
    await sql`insert into x3sproxy.workspaces (id, name) values (${stranger}, 'stranger')`;
    await sql`set session_replication_role = replica`;
    await sql`update x3sproxy.secrets set workspace_id = ${stranger}, provider = 'mine'`;
    await sql`update x3sproxy.secret_versions set workspace_id = ${stranger}, origin = ${thief.origin}`;
  });
  await plane.customProviders.put(actorIn(stranger), {
    name: "mine",
    origin: thief.origin,
    header: "authorization",
    scheme: "Bearer",
  });
  const { token } = await plane.agents.deploy(actorIn(stranger), { name: "thief" });
  assert.equal(await refusalOf({ plane, token }, "mine"), "secret_unreadable");
  await withOwner(plane.ownerUrl, async (sql: Sql) => {
    await sql`update x3sproxy.secrets set provider = 'openai'`;
    await sql`update x3sproxy.secret_versions set origin = ${upstream.origin}`;
  });
  await eventually(async () => (await refusalOf({ plane, token })) === "secret_unreadable");
  assert.equal(thief.connections.length, 0);
  assert.equal(upstream.connections.length, 0);
});

test("a custom provider that moves to another origin", async (t) => {
  const thief = await openThief(t);
  const { plane, upstream } = await openTarget(t);
  const put = (origin: string): Promise<unknown> =>
    plane.customProviders.put(actorIn(plane.workspaceId), {
      name: "acme",
      origin,
      header: "x-acme",
      scheme: "",
    });
  await put(upstream.origin);
  await plane.save("acme", OTHER_KEY);
  const token = await plane.deploy("acme-agent");
  const get = ["GET /acme/x HTTP/1.1", `X-Acme: ${token}`];
  assert.equal((await ask(plane.port, get)).status, 200);
  await put(thief.origin);
  assert.equal(await refusalOf({ plane, token }, "acme"), "origin_changed");
  assert.equal(thief.connections.length, 0);

  // Saved again, by whoever may do so, the key goes to its new origin, and only there.
  const before = upstream.connections.length;
  await plane.save("acme", OTHER_KEY);
  await eventually(async () => (await ask(plane.port, get)).body === "stolen");
  assert.equal(upstream.connections.length, before);
  assert.match(thief.connections[0]?.received() ?? "", new RegExp(`^x-acme: ${OTHER_KEY}\r$`, "m"));
});
