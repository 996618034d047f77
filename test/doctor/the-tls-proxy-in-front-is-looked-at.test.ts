import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { before, describe, test, type TestContext } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { generate } from "selfsigned";
import { createAuthority, type Authority } from "../support/authority.ts";
import { freePorts } from "../support/service.ts";
import { listenHttps, lookWith, saidOf } from "./fixture.ts";

type Pair = Awaited<ReturnType<Authority["issue"]>>;

// Leads to this machine, and no certificate of ours is for it.
const MISNAMED = "0.0.0.0";

describe("the TLS proxy in front is looked at, as its clients do", { concurrency: true }, () => {
  let known: Authority;
  before(async () => {
    known = await createAuthority();
    // What NODE_EXTRA_CA_CERTS does at a process's start.
    setDefaultCACertificates([...getCACertificates("default"), known.certificate]);
    await known.remove();
  });

  const front = async (t: TestContext, hsts?: string, pair?: Pair): Promise<number> =>
    listenHttps(t, pair ?? (await known.issue()), (_, answer) => {
      if (hsts !== undefined) answer.setHeader("strict-transport-security", hsts);
      answer.end();
    });
  /** What is said of the proxy at this URL: of its certificate for either setting, and of the header. */
  const look = async (url: string): Promise<(string | undefined)[]> => {
    const examination = await lookWith({
      X3SPROXY_DATA_DIR: "/nowhere",
      X3SPROXY_ADMIN_ADDR: "127.0.0.1:1",
      X3SPROXY_DASHBOARD_URL: url,
      X3SPROXY_PUBLIC_URL: url,
    });
    return ["front-dashboard", "front-public", "front-hsts"].map((id) => saidOf(examination, id));
  };

  test("one that holds, with and without Strict-Transport-Security", async (t) => {
    const good = await front(t, "max-age=31536000; includeSubDomains");
    assert.deepEqual(await look(`https://localhost:${good}`), ["ok", "ok", "ok"]);
    const bare = await front(t);
    assert.deepEqual(await look(`https://localhost:${bare}`), ["ok", "ok", "warning"]);
    const brief = await front(t, "max-age=0");
    assert.deepEqual(await look(`https://localhost:${brief}`), ["ok", "ok", "warning"]);
  });

  test("a certificate that nobody here vouches for, and one for another name", async (t) => {
    const { cert, private: key } = await generate([{ name: "commonName", value: "localhost" }]);
    const strange = await front(t, undefined, { key, cert });
    assert.deepEqual(await look(`https://localhost:${strange}`), ["warning", "warning", undefined]);
    const other = await front(t);
    assert.deepEqual(await look(`https://${MISNAMED}:${other}`), [
      "critical",
      "critical",
      undefined,
    ]);
  });

  test("plain http, and nobody", async (t) => {
    const plain = createServer((_, answer) => answer.end()).listen(0, "127.0.0.1");
    await once(plain, "listening");
    t.after(() => plain.close());
    const { port } = plain.address() as AddressInfo;
    assert.deepEqual(await look(`https://localhost:${port}`), ["critical", "critical", undefined]);
    const [nobody = 0] = await freePorts(1);
    assert.deepEqual(await look(`https://localhost:${nobody}`), ["skipped", "skipped", undefined]);
  });
});
