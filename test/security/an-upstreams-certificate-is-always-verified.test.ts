import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { createAuthority } from "../support/authority.ts";
import { createConnectProxy } from "../support/connect-proxy.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { head, openWireClient, webSocketHead } from "../support/wire.ts";

/** A TLS upstream of an authority that is trusted or not, listening on all of loopback. */
async function createUpstream(t: TestContext, o: { trusted: boolean }) {
  const authority = await createAuthority();
  t.after(() => authority.remove());
  const usual = getCACertificates("default");
  setDefaultCACertificates(o.trusted ? [...usual, authority.certificate] : usual);
  t.after(() => setDefaultCACertificates(usual));
  let requests = 0;
  const server = createServer(await authority.issue(), (_, response) => {
    requests++;
    response.end("ok");
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, requests: () => requests };
}

describe("an upstream's certificate is always verified", () => {
  for (const [what, trusted, host, code] of [
    ["of an authority that nobody knows", false, "127.0.0.1", /UNABLE_TO_VERIFY|SELF_SIGNED/],
    ["for another name", true, "127.0.0.2", /ERR_TLS_CERT_ALTNAME_INVALID/],
  ] as const) {
    for (const [setting, way] of [
      ["as usual", "direct"],
      ["with NODE_TLS_REJECT_UNAUTHORIZED=0", "direct"],
      ["with NODE_TLS_REJECT_UNAUTHORIZED=0, through a forward proxy", "proxied"],
    ] as const) {
      test(`one ${what} is refused, ${setting}: the key is not sent`, async (t) => {
        if (setting !== "as usual") {
          process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
          t.after(() => delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]);
        }
        const { port, requests } = await createUpstream(t, { trusted });
        const proxy = await createConnectProxy({ port });
        t.after(() => proxy.close());
        const plane = await openWithUpstream(t, `https://${host}:${port}`, {
          ...(way === "proxied" ? { HTTPS_PROXY: proxy.url } : {}),
        });
        for (const request of [
          head(plane.token, "/openai/v1/responses"),
          webSocketHead(plane.token, "/openai/v1/realtime"),
        ]) {
          const client = await openWireClient(plane.port);
          client.send(request);
          const answer = await client.answer();
          assert.equal(answer.status, 502);
          assert.equal(answer.header("x3sproxy-refusal"), "upstream_unreachable");
        }
        assert.equal(requests(), 0);
        assert.match(String((await plane.exchange())["errorCode"]), code);
        assert.equal(proxy.requests.length, way === "proxied" ? 2 : 0);
      });
    }
  }

  test("a good one is taken", async (t) => {
    const { port } = await createUpstream(t, { trusted: true });
    const plane = await openWithUpstream(t, `https://127.0.0.1:${port}`);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, "/openai/v1/responses"));
    assert.equal((await client.answer()).body, "ok");
  });

  test("a forward proxy's is, too", async (t) => {
    const { port, requests } = await createUpstream(t, { trusted: false });
    const authority = await createAuthority();
    t.after(() => authority.remove());
    const proxy = await createConnectProxy({ port, tls: await authority.issue() });
    t.after(() => proxy.close());
    const plane = await openWithUpstream(t, `https://127.0.0.1:${port}`, {
      HTTPS_PROXY: proxy.url,
    });
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, "/openai/v1/responses"));
    assert.equal((await client.answer()).header("x3sproxy-refusal"), "upstream_unreachable");
    assert.equal(proxy.requests.length, 0);
    assert.equal(requests(), 0);
  });
});
