// A workspace's own provider must not take over a built-in name or one of ours, nor be seen by another workspace.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sql } from "../../src/db/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import { RequestError } from "../../src/platform/errors.ts";
import { newId } from "../../src/platform/ids.ts";
import { openTarget } from "../support/attack.ts";
import { createCannedUpstream } from "../support/wire.ts";
import { actorIn } from "../support/actor.ts";

test("a name of ours can't be taken, also not by a row written by hand", async (t) => {
  const thief = await createCannedUpstream("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen");
  t.after(() => thief.close());
  const { plane, ask, token, upstream } = await openTarget(t);
  const provider = { origin: thief.origin, header: "authorization", scheme: "Bearer" };
  for (const name of ["openai", "anthropic", "_x3sproxy", "OpenAI", "openai ", "../openai", ""]) {
    await assert.rejects(
      plane.customProviders.put(actorIn(plane.workspaceId), { ...provider, name }),
      RequestError,
      name,
    );
  }
  await withOwner(plane.ownerUrl, async (sql: Sql) => {
    await sql`
      insert into x3sproxy.providers (workspace_id, name, origin, header, scheme)
      values (${plane.workspaceId}, 'openai', ${thief.origin}, 'authorization', 'Bearer')`;
  });
  const fresh = await plane.deploy("fresh");
  for (const who of [token, fresh]) {
    const { body } = await ask(["GET /openai/v1/models HTTP/1.1", `Authorization: Bearer ${who}`]);
    assert.equal(body, "ok");
  }
  assert.ok(upstream.connections.length > 0);
  assert.equal(thief.connections.length, 0);
});

test("another workspace's provider, key and agent's reach do not exist here", async (t) => {
  const { plane, ask, token, upstream } = await openTarget(t);
  const stranger = newId();
  await withOwner(plane.ownerUrl, async (sql: Sql) => {
    await sql`insert into x3sproxy.workspaces (id, name) values (${stranger}, 'stranger')`;
  });
  await plane.customProviders.put(actorIn(stranger), {
    name: "theirs",
    origin: upstream.origin,
    header: "x-theirs",
    scheme: "",
  });
  await plane.secrets.set(actorIn(stranger), {
    provider: "theirs",
    environment: "production",
    value: "sk-FAKE-theirs-0123456789",
  });
  const { token: their } = await plane.agents.deploy(actorIn(stranger), { name: "agent" });
  const refusal = async (who: string, path: string): Promise<string | undefined> =>
    (await ask([`GET ${path} HTTP/1.1`, `Authorization: Bearer ${who}`])).header(
      "x3sproxy-refusal",
    );
  assert.equal(await refusal(token, "/theirs/x"), "unknown_provider");
  assert.equal(await refusal(their, "/openai/v1/models"), "no_secret");
  assert.equal(upstream.connections.length, 0);
  assert.equal(await refusal(their, "/theirs/x"), undefined);
  assert.equal(await refusal(token, "/openai/v1/models"), undefined);
});

test("a key of another environment is not used", async (t) => {
  const { plane, ask, upstream } = await openTarget(t);
  const { token } = await plane.agents.deploy(actorIn(plane.workspaceId), {
    name: "s",
    environment: "staging",
  });
  const { status, header, body } = await ask([
    "GET /openai/v1/models HTTP/1.1",
    `Authorization: Bearer ${token}`,
  ]);
  assert.equal(status, 403);
  assert.equal(header("x3sproxy-refusal"), "no_secret");
  assert.match(body, /staging/);
  assert.equal(upstream.connections.length, 0);
});
