// A path goes to the upstream, to its logs and to ours: a token that was put there by mistake must not follow.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";

const REGISTRATION = `x3sreg_FAKE${"R".repeat(28)}`;

for (const kind of ["proxy", "registration"])
  test(`a path that holds a ${kind} token, in whatever spelling, is refused and not logged`, async (t) => {
    const target = await openTarget(t);
    const { plane, ask, upstream } = target;
    const token = kind === "proxy" ? target.token : REGISTRATION;
    const escaped = Array.from(Buffer.from(token), (byte) => `%${byte.toString(16)}`).join("");
    const paths = [
      `/openai/v1/${token}`,
      `/openai/${token}/models`,
      `/openai/v1/models;${token}`,
      `/openai/v1/models;key=${token}/x`,
      `/openai/v1/bot${token}x`,
      `/openai/v1/${token.replace("_", "%5f")}`,
      `/openai/v1/${escaped}`,
      `/openai/v1/models;${escaped}`,
      `/${token}/v1/models`,
      `/_x3sproxy/${token}`,
      `/_x3sproxy/token/${token}`,
    ];
    for (const path of paths) {
      const { status, text } = await ask([
        `GET ${path} HTTP/1.1`,
        `Authorization: Bearer ${target.token}`,
      ]);
      assert.ok(status === 400 || status === 404, path);
      assert.equal(text.includes(token), false);
    }
    await plane.drain();
    const exchanges = plane.logged().filter((line) => line["msg"] === "exchange");
    assert.equal(exchanges.length, paths.length);
    const log = JSON.stringify(plane.logged());
    assert.equal(log.includes(token.slice(token.indexOf("_") + 1)), false);
    assert.equal(log.includes(escaped.slice(-30)), false);
    assert.equal(upstream.connections.length, 0);
  });
