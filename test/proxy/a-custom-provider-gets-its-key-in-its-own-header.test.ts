import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";
import { FAKE_KEY } from "../support/data-plane.ts";
import { actorIn } from "../support/actor.ts";

test("header and scheme are the custom provider's, wherever the token stood", async (t) => {
  const { plane, ask, sent, upstream } = await openTarget(t, {
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test" },
  });
  for (const [name, header, scheme, field] of [
    ["bare", "X-Acme-Key", "", `x-acme-key: ${FAKE_KEY}`],
    ["schemed", "X-Acme", "Secret", `x-acme: Secret ${FAKE_KEY}`],
    ["usual", "Authorization", "Bearer", `authorization: Bearer ${FAKE_KEY}`],
    ["underscored", "x_acme_key", "", `x_acme_key: ${FAKE_KEY}`],
    ["cookied", "Cookie", "", `cookie: ${FAKE_KEY}`],
    ["viaed", "Via", "", `via: ${FAKE_KEY}`],
  ] as const) {
    await plane.customProviders.put(actorIn(plane.workspaceId), {
      name,
      origin: upstream.origin,
      header,
      scheme,
    });
    await plane.save(name);
    const token = await plane.deploy(`${name}-agent`);
    const prefix = scheme === "" ? "" : `${scheme} `;
    for (const lines of [
      [`GET /${name}/v1/x HTTP/1.1`, `Authorization: Bearer ${token}`],
      [`GET /${name}/v1/x?key=${token} HTTP/1.1`],
      [`GET /v1/x HTTP/1.1`, `Host: ${name}.proxy.test`, `X-Api-Key: ${token}`],
      ...(header === "Cookie"
        ? []
        : [[`GET /${name}/v1/x HTTP/1.1`, `${header}: ${prefix}${token}`]]),
    ]) {
      const { status } = await ask(lines);
      assert.equal(status, 200, lines.join());
      const up = sent();
      assert.match(up, /^GET \/v1\/x HTTP\/1.1\r\n/);
      assert.equal(up.split(FAKE_KEY).length, 2, up);
      assert.ok(up.toLowerCase().includes(`\r\n${field.toLowerCase()}\r\n`), up);
      assert.equal(up.includes(token), false);
    }
  }
});
