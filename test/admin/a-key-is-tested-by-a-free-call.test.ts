import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, describe, it, type TestContext } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { createAuthority, type Authority } from "../support/authority.ts";
import { breakAudit } from "../support/broken-audit.ts";
import { createConnectProxy } from "../support/connect-proxy.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { assertHides, openAdmin, stringAt } from "./fixture.ts";

// Looks like nobody's in particular.
const FAKE_KEY = "FAKE-key-under-test-4f1Zq0-wxyz";
const NEWER_FAKE_KEY = "FAKE-newer-key-under-test-9b7K-abcd";
const ALLOW = { X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8" };
const MINUTE_MS = 60_000;

describe("a key is tested by a free call", () => {
  let authority: Authority;
  let origin = "";
  let seen: IncomingMessage[] = [];
  let answer: (response: ServerResponse) => void = (response) => response.end();
  let server: ReturnType<typeof createServer>;

  before(async () => {
    authority = await createAuthority();
    // What NODE_EXTRA_CA_CERTS does at a process's start.
    setDefaultCACertificates([...getCACertificates("default"), authority.certificate]);
    server = createServer(await authority.issue("provider.test"), (request, response) => {
      seen.push(request);
      answer(response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    seen = [];
  });
  after(async () => {
    server.close();
    server.closeAllConnections();
    await authority.remove();
  });

  const status =
    (code: number, body = `{"FAKE-body":"${FAKE_KEY}"}`) =>
    (response: ServerResponse): void => {
      response.writeHead(code, { "x-echo": FAKE_KEY, location: "https://elsewhere.example.test/" });
      response.end(body);
    };

  async function open(
    t: TestContext,
    o: { provider?: string; to?: string; env?: Record<string, string> } = {},
  ) {
    const provider = o.provider ?? "openai";
    const env = { ...ALLOW, ...o.env };
    const admin = await openAdmin(t, { origins: { [provider]: o.to ?? origin }, env });
    const secret = { provider, value: FAKE_KEY, skipTest: true };
    const id = stringAt(await admin.call("PUT", "/api/v1/secrets", secret), "secret", "id");
    return {
      ...admin,
      id,
      test: () => admin.call("POST", `/api/v1/secrets/${id}/test`),
      audited: () => admin.owner`
        select actor_name, target_id, target_name, result from x3sproxy.audit_events
        where action = 'secret.test' order by id`,
    };
  }

  const results: [string, number, boolean][] = [
    ["accepted", 200, true],
    ["accepted", 204, true],
    ["refused", 401, false],
    ["refused", 403, false],
    ["unexpected", 302, false],
    ["unexpected", 404, false],
    ["unexpected", 429, false],
    ["unexpected", 500, false],
  ];
  it("what the provider says to it is the result, which the audit has too", async (t) => {
    const { test, audited, id, log } = await open(t);
    const texts: string[] = [];
    for (const [reason, code, ok] of results) {
      answer = status(code, code === 204 ? "" : undefined);
      const result = await test();
      texts.push(result.text, JSON.stringify([...result.headers]));
      assert.equal(result.status, 200);
      const { checkedAt, ...rest } = result.body["test"] as Record<string, unknown>;
      assert.deepEqual(rest, { ok, status: code, reason });
      assert.ok(Math.abs(Date.parse(String(checkedAt)) - Date.now()) < 10_000);
    }
    assert.deepEqual(
      [...(await audited())],
      results.map(([reason]) => ({
        ...{ actor_name: "bootstrap", target_id: id, target_name: "openai/production" },
        result: reason,
      })),
    );
    assertHides(texts.join("\n") + log.join("\n"), FAKE_KEY);
    assert.doesNotMatch(texts.join("\n") + log.join("\n"), /FAKE-body/);
    assert.equal(seen.length, results.length, "one call each, and no redirect followed");
  });

  it("its release is on record before the provider has the key, and without it there is no test", async (t) => {
    const { test, id, owner, database } = await open(t);
    const released = () => owner<Record<string, unknown>[]>`
      select actor_name, method, target_id, target_name, result, detail from x3sproxy.audit_events
      where action = 'secret.release' order by id`;
    let before: unknown[] = [];
    answer = (response) => {
      void released().then((rows) => {
        before = [...rows];
        response.end();
      });
    };
    assert.equal((await test()).status, 200);
    assert.partialDeepStrictEqual(before, [
      {
        ...{ actor_name: "bootstrap", method: "api_key", result: "done" },
        ...{ target_id: id, target_name: "openai/production" },
      },
    ]);
    const [first] = await released();
    assert.partialDeepStrictEqual(JSON.parse(String(first?.["detail"])), {
      ...{ provider: "openai", purpose: "key_test", version: 1 },
    });
    const heal = await breakAudit(database.ownerUrl);
    seen = [];
    assert.equal((await test()).status, 500);
    assert.deepEqual(seen, []);
    await heal();
    assert.equal((await test()).status, 200);
  });

  it("one GET of the provider's own, with the active version of the key", async (t) => {
    answer = status(200);
    const { test, call } = await open(t, { provider: "anthropic" });
    await test();
    const [first] = seen;
    assert.equal(`${first?.method ?? ""} ${first?.url ?? ""}`, "GET /v1/models");
    assert.equal(first?.headers["x-api-key"], FAKE_KEY);
    assert.equal(first.headers["anthropic-version"], "2023-06-01");
    assert.equal(first.headers.connection, "close");
    await call("PUT", "/api/v1/secrets", {
      provider: "anthropic",
      value: NEWER_FAKE_KEY,
      skipTest: true,
    });
    await test();
    assert.equal(seen[1]?.headers["x-api-key"], NEWER_FAKE_KEY);
  });

  it("a provider that answers a bad key with 400 is understood", async (t) => {
    answer = status(400);
    const { test } = await open(t, { provider: "gemini" });
    assert.partialDeepStrictEqual((await test()).body, {
      test: { status: 400, reason: "refused" },
    });
  });

  it("an upstream that can't be reached, breaks off, or has a strange certificate is unreachable", async (t) => {
    answer = (response) => void response.socket?.destroy();
    const broken = await open(t);
    const plain = await createHttpUpstream((_request, response) => response.end());
    t.after(() => plain.close());
    const noTls = await open(t, { to: `https://127.0.0.1:${plain.port}` });
    const nobody = await open(t, { to: "https://127.0.0.1:1" });
    const stranger = await open(t, { to: origin.replace("127.0.0.1", "127.0.0.2") });
    for (const { test } of [broken, noTls, nobody, stranger]) {
      assert.partialDeepStrictEqual((await test()).body, {
        test: { ok: false, status: null, reason: "unreachable" },
      });
    }
    assert.deepEqual([plain.connections, plain.requests], [1, 0]);
  });

  it("it reaches no private address, by number or by name", async (t) => {
    answer = status(200);
    for (const host of ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"]) {
      const to = origin.replace("127.0.0.1", host);
      const { test } = await open(t, { to, env: { X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "" } });
      const { body } = await test();
      assert.partialDeepStrictEqual(body, { test: { status: null, reason: "unreachable" } }, host);
    }
    assert.deepEqual(seen, []);
  });

  it("it goes through the operator's forward proxy, which sees nothing of it", async (t) => {
    answer = status(200);
    const proxy = await createConnectProxy({ port: Number(new URL(origin).port) });
    t.after(() => proxy.close());
    const env = { HTTPS_PROXY: proxy.url };
    const { test } = await open(t, { to: "https://provider.test", env });
    assert.partialDeepStrictEqual((await test()).body, { test: { reason: "accepted" } });
    assert.deepEqual(
      proxy.requests.map(({ url }) => url),
      ["provider.test:443"],
    );
    assertHides(JSON.stringify(proxy.requests.map((it) => it.rawHeaders)), FAKE_KEY);
  });

  it("a key that was moved to another origin by hand does not open, and goes nowhere", async (t) => {
    answer = status(200);
    const { test, owner } = await open(t);
    assert.partialDeepStrictEqual((await test()).body, { test: { reason: "accepted" } });
    await owner`update x3sproxy.secret_versions set origin = ${`${origin}0`.replace(/\d+$/, "444")}`;
    assert.partialDeepStrictEqual((await test()).body, {
      test: { status: null, reason: "unexpected" },
    });
    assert.equal(seen.length, 1);
  });

  it("a provider without a free call has no test, and is not called", async (t) => {
    answer = status(200);
    const { test, audited, call } = await open(t, { provider: "fal" });
    assert.partialDeepStrictEqual((await test()).body, {
      test: { ok: false, status: null, reason: "no_test" },
    });
    assert.equal((await audited()).length, 1);
    await call("PUT", "/api/v1/providers/own", { origin: "https://llm.example.test" });
    const own = await call("PUT", "/api/v1/secrets", {
      provider: "own",
      value: NEWER_FAKE_KEY,
      skipTest: true,
    });
    const path = `/api/v1/secrets/${stringAt(own, "secret", "id")}/test`;
    assert.partialDeepStrictEqual((await call("POST", path)).body, { test: { reason: "no_test" } });
    assert.deepEqual(seen, []);
  });

  it("a workspace has ten tests a minute; an unknown key is none of them", async (t) => {
    answer = status(200);
    const { test, call, clock, addWorkspace, addKey, id } = await open(t);
    const unknown = "/api/v1/secrets/00000000-0000-4000-8000-000000000000/test";
    for (let n = 0; n < 12; n++) assert.equal((await call("POST", unknown)).status, 404);
    for (let n = 0; n < 10; n++) assert.equal((await test()).status, 200);
    const eleventh = await test();
    assert.deepEqual([eleventh.status, eleventh.body["code"]], [429, "too_many_attempts"]);
    assert.ok(Number(eleventh.headers.get("retry-after")) > 0);
    assert.equal(seen.length, 10);
    const stranger = await addKey("owner", await addWorkspace("elsewhere"));
    assert.equal(
      (await call("POST", `/api/v1/secrets/${id}/test`, undefined, stranger)).status,
      404,
    );
    clock.advance(MINUTE_MS);
    assert.equal((await test()).status, 200);
  });

  it("a few are under way at once, and no more", async (t) => {
    const waiting: ServerResponse[] = [];
    answer = (response) => void waiting.push(response);
    const { test } = await open(t);
    const under = Array.from({ length: 4 }, () => test());
    while (waiting.length < 4) await new Promise((resolve) => setImmediate(resolve));
    const fifth = await test();
    assert.deepEqual([fifth.status, fifth.body["code"]], [503, "busy"]);
    for (const response of waiting) response.end();
    for (const result of await Promise.all(under)) assert.equal(result.status, 200);
    answer = status(200);
    assert.equal((await test()).status, 200);
  });

  it("an upstream that says nothing is given up after 10 s", async (t) => {
    answer = () => undefined;
    const { test } = await open(t);
    const startMs = performance.now();
    assert.partialDeepStrictEqual((await test()).body, {
      test: { status: null, reason: "unreachable" },
    });
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs > 9000 && tookMs < 12_000, `${tookMs} ms`);
  });
});
