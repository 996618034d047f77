// Server-side request forgery: a name that resolves to a private address is judged at the moment of connecting.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sql } from "../../src/db/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import { RequestError } from "../../src/platform/errors.ts";
import { ask } from "../support/attack.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createCannedUpstream } from "../support/wire.ts";
import { actorIn } from "../support/actor.ts";

test("without an allow list nothing on this machine is connected to, by name or by number", async (t) => {
  const inside = await createCannedUpstream("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ninside");
  t.after(() => inside.close());
  const plane = await openDataPlane(t, { env: { X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "" } });
  const { port } = inside;
  const put = (origin: string): Promise<unknown> =>
    plane.customProviders.put(actorIn(plane.workspaceId), {
      name: "inside",
      origin,
      header: "x-key",
      scheme: "",
    });

  for (const host of [
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",
  ]) {
    await assert.rejects(put(`https://${host}:${port}`), RequestError, host);
  }
  await assert.rejects(put(`http://localhost:${port}`), RequestError);
  await put(`https://localhost:${port}`);
  await plane.save("inside");
  const token = await plane.deploy();
  const call = (): ReturnType<typeof ask> =>
    ask(plane.port, ["GET /inside/latest/meta-data HTTP/1.1", `X-Key: ${token}`]);
  const { status, header, text } = await call();
  assert.equal(status, 403);
  assert.equal(header("x3sproxy-refusal"), "upstream_address_refused");
  assert.equal(/localhost|127\.0|::1/.test(text), false, "says no address");

  // Past the check at the door: written into the database by hand, and sealed where the list is wide open.
  const open = await openDataPlane(t, {
    database: plane.database,
    env: { X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "0.0.0.0/0,::/0" },
  });
  for (const host of [
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "[::1]",
    "[::ffff:7f00:1]",
    "[::7f00:1]",
  ]) {
    for (const scheme of ["https", "http"]) {
      const origin = new URL(`${scheme}://${host}:${port}`).origin;
      await withOwner(plane.ownerUrl, async (sql: Sql) => {
        await sql`update x3sproxy.providers set origin = ${origin}`;
      });
      await open.save("inside");
      const reason = await eventually(async () => {
        const refusal = (await call()).header("x3sproxy-refusal");
        return refusal !== "origin_changed" && refusal;
      });
      assert.equal(reason, "upstream_address_refused", origin);
    }
  }
  assert.equal(inside.connections.length, 0);
});

test("an override by the operator is held to the same list", async (t) => {
  const inside = await createCannedUpstream("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ninside");
  t.after(() => inside.close());
  const env = { X3SPROXY_ORIGIN_OPENAI: `http://localhost:${inside.port}` };
  const open = await openDataPlane(t, { env });
  await open.save("openai");
  const token = await open.deploy();
  for (const [list, passes] of [
    ["", false],
    ["10.0.0.0/8,169.254.0.0/16", false],
    ["127.0.0.1,::1", true],
  ] as const) {
    const plane = await openDataPlane(t, {
      database: open.database,
      env: { ...env, X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: list },
    });
    const { status, header } = await ask(plane.port, [
      "GET /openai/v1/models HTTP/1.1",
      `Authorization: Bearer ${token}`,
    ]);
    assert.equal(status, passes ? 200 : 403, list);
    assert.equal(header("x3sproxy-refusal"), passes ? undefined : "upstream_address_refused");
    assert.equal(inside.connections.length, passes ? 1 : 0);
  }
});
