// Promise 3: revoked or replaced means gone, everywhere, within a second while notifications flow.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createEnvironments } from "../../src/agents/index.ts";
import { createPool, type Pool } from "../../src/db/index.ts";
import { createAllWorkspaces } from "../../src/identity/all-workspaces.ts";
import { ask, OK } from "../support/attack.ts";
import { openDataPlane, type DataPlane } from "../support/data-plane.ts";
import { createCannedUpstream, createWireUpstream } from "../support/wire.ts";
import { actorIn } from "../support/actor.ts";

const WITHIN_MS = 1_000;

async function open(t: TestContext) {
  let key: string | undefined;
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", (chunk) => {
      key = /^authorization: Bearer (.*)\r$/m.exec(chunk.toString("latin1"))?.[1];
      socket.write(OK);
    });
  });
  t.after(() => upstream.close());
  const env = { X3SPROXY_ORIGIN_OPENAI: upstream.origin };
  const first = await openDataPlane(t, { env });
  await first.save("openai");
  // Two instances: what one of them did not do itself, it has to hear of.
  const second = await openDataPlane(t, { env, database: first.database });
  const get = async (
    port: number,
    token: string,
  ): Promise<{ reason: string | undefined; key: string | undefined }> => {
    const { header } = await ask(port, [
      "GET /openai/v1/models HTTP/1.1",
      `Authorization: Bearer ${token}`,
    ]);
    return { reason: header("x3sproxy-refusal"), key };
  };
  /** Asks both until `done`; fails when that takes longer than a second from `startMs`. */
  const both = async (
    token: string,
    startMs: number,
    done: (seen: Awaited<ReturnType<typeof get>>) => boolean,
  ): Promise<void> => {
    for (const { port } of [first, second]) {
      while (!done(await get(port, token))) {
        assert.ok(performance.now() - startMs < WITHIN_MS, "too late");
      }
      assert.ok(performance.now() - startMs < WITHIN_MS, "too late");
    }
  };
  return { plane: first, second, get, both };
}

/** As the control plane has it. */
function openPool(t: TestContext, { database }: DataPlane): Pool {
  const pool = createPool(database.controlUrl);
  t.after(() => pool.close());
  return pool;
}

test("a destroyed agent's token, and one that a new deployment has replaced", async (t) => {
  const { plane, second, get, both } = await open(t);
  for (const end of ["destroy", "deploy"] as const) {
    const token = await plane.deploy(end);
    for (const { port } of [plane, second]) {
      assert.equal((await get(port, token)).reason, undefined);
    }
    const startMs = performance.now();
    if (end === "destroy") await plane.agents.destroy(actorIn(plane.workspaceId), end);
    else await plane.deploy(end);
    await both(token, startMs, ({ reason }) => reason === "unknown_token");
  }
});

test("a replaced key, a rolled back one, a deleted one", async (t) => {
  const { plane, second, get, both } = await open(t);
  const token = await plane.deploy();
  for (const { port } of [plane, second]) await get(port, token);
  const fresh = "sk-FAKE-fresh-key-0123456789-klmnopqrst";
  let startMs = performance.now();
  await plane.save("openai", fresh);
  await both(token, startMs, ({ key }) => key === fresh);

  const [secret] = await plane.secrets.list(plane.workspaceId);
  assert.ok(secret);
  startMs = performance.now();
  await plane.secrets.rollback(actorIn(plane.workspaceId), secret.id);
  await both(token, startMs, ({ key }) => key !== fresh);

  startMs = performance.now();
  await plane.secrets.delete(actorIn(plane.workspaceId), secret.id);
  await both(token, startMs, ({ reason }) => reason === "no_secret");
});

test("an environment's new name, for its agents and keys together, and those it joins", async (t) => {
  const { plane, second, get, both } = await open(t);
  const environments = createEnvironments({ pool: openPool(t, plane) });
  const by = actorIn(plane.workspaceId);
  const token = await plane.deploy("agent");
  const { token: stays } = await plane.agents.deploy(by, { name: "other", environment: "other" });
  for (const { port } of [plane, second]) {
    assert.equal((await get(port, token)).reason, undefined);
    assert.equal((await get(port, stays)).reason, "no_secret");
  }
  await environments.rename(by, "production", "renamed");
  for (const { port } of [plane, second]) {
    assert.equal((await get(port, token)).reason, undefined);
  }
  // What was no environment of its own before has a key now.
  const startMs = performance.now();
  await environments.rename(by, "renamed", "other");
  await both(stays, startMs, ({ reason }) => reason === undefined);
  assert.equal((await get(plane.port, token)).reason, undefined);
});

test("a workspace's end: its agents' tokens are none, and those of others stay", async (t) => {
  const { plane, second, get, both } = await open(t);
  const workspaces = createAllWorkspaces({ pool: openPool(t, plane) });
  const home = actorIn(plane.workspaceId);
  const { workspace } = await workspaces.create(home, "doomed");
  const by = actorIn(workspace.id);
  await plane.secrets.set(by, {
    provider: "openai",
    environment: "production",
    value: "sk-FAKE-key-of-a-doomed-workspace-0123456789",
  });
  const { token } = await plane.agents.deploy(by, { name: "agent" });
  const ours = await plane.deploy("agent");
  for (const { port } of [plane, second]) {
    for (const each of [token, ours]) assert.equal((await get(port, each)).reason, undefined);
  }
  const startMs = performance.now();
  await workspaces.delete(home, workspace.id, "doomed");
  await both(token, startMs, ({ reason }) => reason === "unknown_token");
  for (const { port } of [plane, second]) assert.equal((await get(port, ours)).reason, undefined);
});

test("a scope that has become narrower comes with a new token, and the old one has ended", async (t) => {
  const { plane, second, get, both } = await open(t);
  const wide = await plane.deploy("agent");
  for (const { port } of [plane, second]) assert.equal((await get(port, wide)).reason, undefined);
  const startMs = performance.now();
  const narrow = await plane.deploy("agent", { providers: ["anthropic"] });
  await both(wide, startMs, ({ reason }) => reason === "unknown_token");
  assert.equal((await get(plane.port, narrow)).reason, "provider_not_allowed");
});

test("an expired token is refused, though its entry is still remembered", async (t) => {
  const upstream = await createCannedUpstream(OK);
  t.after(() => upstream.close());
  let aheadMs = 0;
  const clock = { nowMs: () => Date.now() + aheadMs, monotonicMs: () => performance.now() };
  const plane = await openDataPlane(t, { env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin }, clock });
  await plane.save("openai");
  const { token } = await plane.agents.deploy(actorIn(plane.workspaceId), {
    name: "short",
    ttlMs: 60_000,
  });
  const get = ["GET /openai/v1/models HTTP/1.1", `Authorization: Bearer ${token}`];
  assert.equal((await ask(plane.port, get)).status, 200);
  aheadMs = 60_000;
  const { status, header } = await ask(plane.port, get);
  assert.equal(status, 401);
  assert.equal(header("x3sproxy-refusal"), "expired_token");
  assert.equal(upstream.connections.length, 1);
});
