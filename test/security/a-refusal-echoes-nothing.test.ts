// Whatever a refusal repeated could carry script, a header or a secret to where the answer is shown or logged.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { askRaw, openTarget } from "../support/attack.ts";

const CANARY = "canary7f3a";

test("no part of a request comes back in a refusal", async (t) => {
  const { plane, token, upstream } = await openTarget(t);
  const limited = await plane.deploy("limited", { providers: ["anthropic"] });
  const token2 = await plane.deploy("second");
  const strange = newBearer(PROXY_TOKEN_PREFIX);
  const path = fc.constantFrom(
    `/openai/v1/${CANARY}/..`,
    `/openai/v1/%2f${CANARY}`,
    `/openai/v1/<script>${CANARY}</script>/%00`,
    `/${CANARY}/v1`,
    `/${CANARY}%0d%0aX:1/v1`,
    `/anthropic/v1/messages/${CANARY}`,
    `/gemini/v1beta/models/${CANARY}:generateContent`,
    `/openai/v1/organization/${CANARY}`,
    `/_x3sproxy/${CANARY}`,
    `/${CANARY}`,
    `http://${CANARY}@x/openai/v1`,
    `http://${CANARY}/${CANARY}`,
  );
  const field = fc.constantFrom(
    `Authorization: Bearer ${CANARY}`,
    `Authorization: ${CANARY} ${CANARY}`,
    `Authorization: Bearer x3sproxy_${CANARY}`,
    `Authorization: Bearer ${strange}`,
    `Authorization: Bearer ${limited}`,
    `Authorization: Bearer ${token}`,
    `X-Api-Key: ${token2}`,
    `X-Api-Key: ${CANARY}`,
    `Host: ${CANARY}.test`,
    `User-Agent: ${CANARY}`,
    `X-Request-Id: ${CANARY}`,
    `Traceparent: ${CANARY}`,
    `Accept: text/html, ${CANARY}`,
    `Accept-Language: ${CANARY}`,
    `Origin: https://${CANARY}.test`,
    `Expect: ${CANARY}`,
    `Transfer-Encoding: ${CANARY}`,
    `Connection: ${CANARY}`,
    `${CANARY}: 1`,
    `Sec-WebSocket-Protocol: ${CANARY}, openai-insecure-api-key.${CANARY}`,
    "Upgrade: websocket\r\nConnection: Upgrade",
  );
  const reasons = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "POST", "HEAD", "TRACE", "DELETE", "OPTIONS", CANARY),
      path,
      fc.option(fc.constantFrom(`key=${CANARY}`, `${CANARY}=1`, `key=${strange}`), {
        nil: undefined,
      }),
      fc.array(field, { maxLength: 3 }),
      async (method, target, query, fields) => {
        const line = `${method} ${target}${query === undefined ? "" : `?${query}`} HTTP/1.1`;
        const { text, header } = await askRaw(
          plane.port,
          [line, "Host: proxy", "Connection: close", ...fields, "", CANARY].join("\r\n"),
        );
        const reason = header("x3sproxy-refusal");
        if (text === "" || reason === undefined) return;
        reasons.add(reason);
        assert.equal(text.includes(CANARY), false, `${line}\n${fields.join("\n")}\n${text}`);
        assert.equal(/x3sproxy_[A-Za-z0-9]/.test(text), false, text);
        assert.equal(text.includes("<script"), false);
        assert.equal(header("content-type"), "application/json");
        assert.equal(header("access-control-allow-origin"), undefined);
      },
    ),
    { numRuns: 400 },
  );
  assert.ok(reasons.size >= 6, `only ${[...reasons].join()} came up`);
  assert.equal(
    upstream.connections.some(
      (each) => each.received().includes(CANARY) && !each.received().includes("/openai/"),
    ),
    false,
  );
});
