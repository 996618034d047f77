import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { before, describe, test, type TestContext } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { createAuthority, type Authority } from "../support/authority.ts";
import { createConnectProxy } from "../support/connect-proxy.ts";
import { listenHttps, lookWith, openDatabase, saidOf, type Settings } from "./fixture.ts";

const SECONDS = 1000;

describe("the way to providers is looked at", { concurrency: true }, () => {
  let authority: Authority;
  before(async () => {
    authority = await createAuthority();
    // What NODE_EXTRA_CA_CERTS does at a process's start.
    setDefaultCACertificates([...getCACertificates("default"), authority.certificate]);
    await authority.remove();
  });

  /** A provider whose clock is `offMs` beside ours; undefined: it doesn't tell the time. */
  const provider = async (t: TestContext, offMs: number | undefined): Promise<string> => {
    const port = await listenHttps(t, await authority.issue("provider.test"), (_, answer) => {
      answer.sendDate = false;
      if (offMs !== undefined) {
        answer.setHeader("date", new Date(Date.now() + offMs).toUTCString());
      }
      answer.end();
    });
    return `https://127.0.0.1:${port}`;
  };
  const look = (settings: Settings): ReturnType<typeof lookWith> =>
    lookWith(settings, { offline: false });

  test("the clock, beside those of providers", async (t) => {
    for (const [offs, expected] of [
      [[0], "ok"],
      [[-30 * SECONDS], "ok"],
      [[120 * SECONDS], "critical"],
      [[-3600 * SECONDS, 120 * SECONDS], "critical"],
      // One of them is wrong, and it isn't ours.
      [[3600 * SECONDS, 0], "ok"],
      [[undefined], "skipped"],
    ] as const) {
      const origins = await Promise.all(offs.map((off) => provider(t, off)));
      const { settings } = await openDatabase(t, ...origins);
      assert.equal(saidOf(await look(settings), "clock-outside"), expected, String(offs));
    }
    const { settings } = await openDatabase(t);
    const none = await look(settings);
    assert.equal(saidOf(none, "clock-outside"), "skipped");
    assert.equal(saidOf(none, "providers"), "skipped");
  });

  test("through the forward proxy, or past it", async (t) => {
    const port = Number(new URL(await provider(t, 0)).port);
    let status = 200;
    const proxy = await createConnectProxy({ port, answer: () => status });
    t.after(() => proxy.close());
    const origin = "https://provider.test";
    const { settings } = await openDatabase(t, origin);
    const through = { ...settings, HTTPS_PROXY: proxy.url.replace("://", "://user:a-FAKE-word@") };
    assert.equal(saidOf(await look(through), `provider ${origin}`), "ok");
    assert.deepEqual(
      proxy.requests.map(({ url }) => url),
      ["provider.test:443"],
    );
    status = 403;
    const refused = await look(through);
    assert.equal(saidOf(refused, `provider ${origin}`), "warning");
    const { what, fix } = refused.findings.find(({ id }) => id === `provider ${origin}`) ?? {};
    assert.match(what ?? "", /through HTTPS_PROXY \(X3SPROXY_TUNNEL_REFUSED\)/);
    assert.match(fix ?? "", /HTTPS_PROXY/);
    assert.ok(!JSON.stringify(refused).includes("FAKE"));
    // The proxy refuses everything, so what is reached is reached past it.
    const near = await provider(t, 0);
    const database = await openDatabase(t, near);
    const all = { ...database.settings, HTTPS_PROXY: proxy.url };
    assert.equal(saidOf(await look(all), `provider ${near}`), "warning");
    const past = await look({ ...all, NO_PROXY: "127.0.0.1" });
    assert.equal(saidOf(past, `provider ${near}`), "ok");
  });

  test("an address that calls may not go to is no reached provider", async (t) => {
    const origin = await provider(t, 0);
    const { settings } = await openDatabase(t, origin);
    const allowed = await look(settings);
    assert.equal(saidOf(allowed, `provider ${origin}`), "ok");
    const { findings } = await look({ ...settings, X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: undefined });
    const found = findings.find(({ id }) => id === `provider ${origin}`);
    assert.equal(found?.severity, "warning");
    assert.match(found.fix, /X3SPROXY_ALLOW_PRIVATE_UPSTREAMS/);
  });

  test("a Redis that takes connections and answers nothing", async (t) => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { settings } = await openDatabase(t);
    const { port } = silent.address() as AddressInfo;
    const redis = await lookWith({ ...settings, REDIS_URL: `redis://127.0.0.1:${port}` });
    assert.equal(saidOf(redis, "redis"), "warning");
  });
});
