import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, describe, it, type TestContext } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { createAuthority, type Authority } from "../support/authority.ts";
import { assertHides, openAdmin, stringAt } from "./fixture.ts";

// They look like nobody's in particular.
const FAKE_KEY = "FAKE-key-under-test-4f1Zq0-wxyz";
const OTHER_FAKE_KEY = "FAKE-newer-key-under-test-9b7K-abcd";
const ENV = { X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8" };

describe("a new value of a key", () => {
  let authority: Authority;
  let origin = "";
  let seen: IncomingMessage[] = [];
  let answer: (response: ServerResponse, request: IncomingMessage) => void;
  let server: ReturnType<typeof createServer>;

  before(async () => {
    authority = await createAuthority();
    setDefaultCACertificates([...getCACertificates("default"), authority.certificate]);
    server = createServer(await authority.issue("provider.test"), (request, response) => {
      seen.push(request);
      answer(response, request);
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

  /** An admin side with a first key of `provider`, saved untested. */
  async function open(t: TestContext, provider = "openai", to = origin) {
    const admin = await openAdmin(t, { origins: { [provider]: to }, env: ENV });
    const place = { provider, environment: "staging" };
    const put = (more: object) => admin.call("PUT", "/api/v1/secrets", { ...place, ...more });
    const first = await put({ value: FAKE_KEY, label: "ours", skipTest: true });
    assert.deepEqual([first.status, first.body["test"]], [201, null]);
    assert.deepEqual(seen, [], "nobody was asked");
    const id = stringAt(first, "secret", "id");
    return {
      ...{ ...admin, put, id },
      post: (verb: string, body: object) =>
        admin.call("POST", `/api/v1/secrets/${id}/${verb}`, body),
      secret: async () => {
        const { body } = await admin.call("GET", "/api/v1/secrets");
        const [{ version, candidate, label, masked } = {}] = body["secrets"] as {
          [name: string]: unknown;
        }[];
        return { version, candidate, label, masked };
      },
      actions: async () => {
        const rows = await admin.owner<{ action: string; result: string }[]>`
          select action, result from x3sproxy.audit_events where action like 'secret.%' order by id`;
        return rows.map(({ action, result }) => `${action} ${result}`).slice(1);
      },
    };
  }

  const says = (status: number) => (response: ServerResponse) => {
    response.writeHead(status, { "x-echo": OTHER_FAKE_KEY });
    response.end(`{"FAKE-body":"${OTHER_FAKE_KEY}"}`);
  };

  it("that the provider refuses stays a candidate, until it is activated all the same", async (t) => {
    answer = says(401);
    const { put, post, secret, actions, id, log } = await open(t);
    const refused = await put({ value: OTHER_FAKE_KEY, label: "theirs" });
    assert.equal(refused.status, 409);
    assert.partialDeepStrictEqual(refused.body, {
      code: "key_refused",
      candidate: { secret: id, version: 2 },
    });
    assert.match(String(refused.body["detail"]), /refused the new key \(401\).*Version 1 stays/);
    const old = { version: 1, candidate: 2, label: "ours", masked: "…wxyz" };
    assert.deepEqual(await secret(), old);
    assert.equal(seen.length, 1);
    assert.equal(seen[0]?.headers.authorization, `Bearer ${OTHER_FAKE_KEY}`);

    const rolledBack = await post("rollback", { version: 2 });
    assert.deepEqual(
      [rolledBack.status, rolledBack.body["code"]],
      [409, "version_is_candidate"],
      "no way round",
    );
    assert.deepEqual(await secret(), old);
    const activated = await post("activate", { version: 2, label: "theirs" });
    assert.equal(activated.status, 200, activated.text);
    assert.deepEqual(await secret(), {
      ...{ version: 2, candidate: null, label: "theirs", masked: "…abcd" },
    });
    assert.deepEqual(await actions(), [
      "secret.propose done",
      "secret.release done",
      "secret.test refused",
      "secret.activate done",
    ]);
    assertHides(refused.text + log.join(""), OTHER_FAKE_KEY);
    assert.doesNotMatch(refused.text + log.join(""), /FAKE-body/);
  });

  it("that the provider takes is active at once, and not before", async (t) => {
    let during: unknown;
    const { put, secret, actions } = await open(t);
    answer = (response) => {
      void secret().then((now) => {
        during = now;
        response.end();
      });
    };
    const taken = await put({ value: OTHER_FAKE_KEY, label: "theirs" });
    assert.equal(taken.status, 200, taken.text);
    assert.partialDeepStrictEqual(taken.body, {
      secret: { version: 2, candidate: null, label: "theirs" },
      test: { ok: true, status: 200, reason: "accepted" },
    });
    assert.partialDeepStrictEqual(during, { version: 1, candidate: 2, label: "ours" });
    assert.equal((await actions()).at(-1), "secret.activate done");
  });

  it("that nothing can be told of stays a candidate, and is thrown away or tested again", async (t) => {
    for (const [provider, to, text] of [
      ["openai", "https://127.0.0.1:1", /did not answer/],
      ["fal", origin, /No free call/],
      ["openai", origin, /neither yes nor no to the new key \(500\)/],
    ] as const) {
      answer = says(500);
      const { put, post, secret } = await open(t, provider, to);
      const unproved = await put({ value: OTHER_FAKE_KEY });
      assert.deepEqual([unproved.status, unproved.body["code"]], [409, "key_unproved"]);
      assert.match(String(unproved.body["detail"]), text);
      assert.partialDeepStrictEqual(await secret(), { version: 1, candidate: 2 });
      answer = says(200);
      if (text.source.includes("500")) {
        const { body } = await post("test", { version: 2 });
        assert.partialDeepStrictEqual(body, { test: { reason: "accepted" } });
        assert.partialDeepStrictEqual(await secret(), { version: 1, candidate: 2 });
      }
      assert.equal((await post("discard", { version: 2 })).status, 200);
      assert.partialDeepStrictEqual(await secret(), { version: 1, candidate: null });
      assert.equal((await post("discard", { version: 2 })).body["code"], "candidate_gone");
      assert.equal((await post("activate", { version: 2 })).body["code"], "candidate_gone");
    }
  });

  it("that is the first is active whatever the provider says, and the answer says it", async (t) => {
    answer = says(403);
    const { put } = await open(t);
    const first = await put({ environment: "production", value: OTHER_FAKE_KEY });
    assert.equal(first.status, 201);
    assert.partialDeepStrictEqual(first.body, {
      secret: { version: 1, candidate: null },
      test: { ok: false, status: 403, reason: "refused" },
    });
  });

  it("of two at once the later one counts, and the earlier one is told so", async (t) => {
    const { put, secret } = await open(t);
    const waiting: ServerResponse[] = [];
    const arrived = Promise.withResolvers<undefined>();
    answer = (response, { headers }) => {
      if (headers.authorization?.endsWith("-early") !== true) {
        response.end();
        return;
      }
      waiting.push(response);
      arrived.resolve(undefined);
    };
    const early = put({ value: `${OTHER_FAKE_KEY}-early` });
    await arrived.promise;
    assert.equal((await put({ value: OTHER_FAKE_KEY })).status, 200);
    for (const response of waiting) response.end();
    const { status, body } = await early;
    assert.deepEqual([status, body["code"]], [409, "candidate_gone"]);
    assert.partialDeepStrictEqual(await secret(), { version: 3, candidate: null });
  });

  it("is not made active by whoever may not do so any more when the provider answers", async (t) => {
    const { addKey, call, owner, secret } = await open(t);
    const stolen = await addKey("admin");
    let candidate = 1;
    for (const [status, shutOut] of [
      [403, () => owner`update x3sproxy.api_keys set role = 'operator' where name = 'admin'`],
      [401, () => owner`delete from x3sproxy.api_keys where name = 'admin'`],
    ] as const) {
      await owner`update x3sproxy.api_keys set role = 'admin' where name = 'admin'`;
      answer = (response) => {
        void shutOut().then(() => response.end("{}"));
      };
      const body = { provider: "openai", environment: "staging", value: OTHER_FAKE_KEY };
      assert.equal((await call("PUT", "/api/v1/secrets", body, stolen)).status, status);
      assert.partialDeepStrictEqual(await secret(), { version: 1, candidate: ++candidate });
    }
  });

  it("is not saved when no test is free, unless it is the first; a refused form costs no test", async (t) => {
    answer = says(401);
    const { put, secret } = await open(t);
    for (let n = 0; n < 12; n++) assert.equal((await put({ value: "two words" })).status, 422);
    for (let n = 0; n < 10; n++) assert.equal((await put({ value: OTHER_FAKE_KEY })).status, 409);
    const before = await secret();
    const eleventh = await put({ value: OTHER_FAKE_KEY });
    assert.deepEqual([eleventh.status, eleventh.body["code"]], [429, "too_many_attempts"]);
    assert.deepEqual(await secret(), before);
    const first = await put({ environment: "production", value: OTHER_FAKE_KEY });
    assert.deepEqual([first.status, first.body["test"]], [201, null]);
    assert.equal((await put({ value: OTHER_FAKE_KEY, skipTest: true })).status, 200);
    assert.equal(seen.length, 10);
  });

  it("is another workspace's affair there alone, and an admin's", async (t) => {
    answer = says(401);
    const { put, call, id, addWorkspace, addKey } = await open(t);
    await put({ value: OTHER_FAKE_KEY });
    const stranger = await addKey("owner", await addWorkspace("elsewhere"));
    const operator = await addKey("operator");
    for (const verb of ["activate", "discard", "test"]) {
      const path = `/api/v1/secrets/${id}/${verb}`;
      assert.equal((await call("POST", path, { version: 2 }, stranger)).status, 404, verb);
      assert.equal((await call("POST", path, { version: 2 }, operator)).status, 403, verb);
    }
  });
});
