// A key is sealed for the header and the scheme of its provider. Whoever changes these without the key gets a refusal, so that no
// upstream can be brought to show a key by the header that it comes in.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { withOwner } from "../../src/db/connection.ts";
import type { Sql } from "../../src/db/index.ts";
import { mayCarryKey } from "../../src/providers/index.ts";
import { fieldName } from "../../src/proxy/field-names.ts";
import { KeyRing, MasterKey } from "../../src/vault/index.ts";
import { actorIn } from "../support/actor.ts";
import { ask, openTarget, type Answer } from "../support/attack.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWireUpstream } from "../support/wire.ts";
import { sealAsBefore } from "../vault/earlier-formats.ts";
import { inputs } from "../support/generated.ts";

const KEY = "FAKE-acme-key-9876543210-zyxwvut";

/** A provider `acme` with a saved key, whose upstream answers with the request ids that it got. */
async function openAcme(t: TestContext, place = { header: "x-acme-key", scheme: "" }) {
  const received: string[] = [];
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", (data: Buffer) => {
      const text = data.toString("latin1");
      received.push(text);
      const id = /\r\nx-request-id: (.*)\r\n/i.exec(text)?.[1] ?? "none";
      socket.write(`HTTP/1.1 200 OK\r\nx-request-id: ${id}\r\ncontent-length: 2\r\n\r\nok`);
    });
  });
  t.after(() => upstream.close());
  const plane = await openDataPlane(t);
  const { origin } = upstream;
  const put = (it: { header: string; scheme: string }): Promise<unknown> =>
    plane.customProviders.put(actorIn(plane.workspaceId), { name: "acme", origin, ...it });
  await put(place);
  await plane.save("acme", KEY);
  const token = await plane.deploy("acme-agent");
  const call = (): Promise<Answer> =>
    ask(plane.port, ["GET /acme/x HTTP/1.1", `Authorization: Bearer ${token}`]);
  const edit = (change: (sql: Sql) => Promise<unknown>): Promise<unknown> =>
    withOwner(plane.ownerUrl, change);
  /** Asks until the change has arrived. */
  const refusal = (reason: string): Promise<unknown> =>
    eventually(async () => (await call()).header("x3sproxy-refusal") === reason);
  return { plane, put, call, edit, refusal, received };
}

test("changing header or scheme needs the key anew", async (t) => {
  const it = await openAcme(t);
  assert.equal((await it.call()).status, 200);
  await it.put({ header: "x-other-key", scheme: "" });
  await it.refusal("header_changed");
  await it.put({ header: "x-acme-key", scheme: "Bearer" });
  await it.refusal("header_changed");
  const refused = await it.call();
  assert.equal(refused.status, 403);
  assert.match(refused.body, /another header or scheme.*Save it again/);
  // What went up before the change had arrived, too.
  assert.ok(it.received.every((text) => text.includes(`\r\nx-acme-key: ${KEY}\r\n`)));

  await it.plane.save("acme", KEY);
  await eventually(async () => (await it.call()).status === 200);
  assert.match(it.received.at(-1) ?? "", new RegExp(`^x-acme-key: Bearer ${KEY}\r$`, "m"));

  // The version before has another place: rolling back brings no key into the new one.
  const [secret] = await it.plane.secrets.list(it.plane.workspaceId);
  const rollBack = () => it.plane.secrets.rollback(actorIn(it.plane.workspaceId), secret?.id ?? "");
  await assert.rejects(rollBack(), { code: "version_outdated" });
  assert.equal((await it.call()).status, 200);
  await it.put({ header: "x-acme-key", scheme: "" });
  await it.refusal("header_changed");
  await rollBack();
  await eventually(async () => (await it.call()).status === 200);
  assert.match(it.received.at(-1) ?? "", new RegExp(`^x-acme-key: ${KEY}\r$`, "m"));

  const events = await withOwner(
    it.plane.ownerUrl,
    (sql) => sql`
      select detail from x3sproxy.audit_events
      where action = 'provider.set' order by id`,
  );
  assert.equal(events.length, 4, "each change is in the audit");
  assert.ok(
    events.every(({ detail }) => typeof detail === "string" && /"(header|scheme)"/.test(detail)),
  );
});

test("a header that servers answer with is refused, as is its use where it was chosen before", async (t) => {
  const it = await openAcme(t);
  await assert.rejects(it.put({ header: "X-Request-Id", scheme: "" }), {
    status: 422,
    code: "header_refused",
  });
  const place = { header: "x-request-id", scheme: "" };
  await it.edit(async (sql) => {
    await sql`update x3sproxy.providers set header = ${place.header}`;
    await sql`update x3sproxy.secret_versions set header = ${place.header}`;
  });
  await it.refusal("header_refused");
  assert.match((await it.call()).body, /no key goes there/);
  await assert.rejects(it.plane.save("acme", KEY), { status: 422, code: "header_refused" });
  assert.equal(it.received.length, 0);
  const rows = await withOwner(it.plane.ownerUrl, (sql) => sql`select from x3sproxy.providers`);
  assert.equal(rows.length, 1, "it stays, so that somebody can change it");
});

test("a header or a scheme that was written into the row opens nothing", async (t) => {
  const it = await openAcme(t);
  for (const [header, scheme] of [
    ["x-other-key", ""],
    ["x-acme-key", "Bearer"],
    ["x-acme-", "key"],
  ] as const) {
    await it.edit(async (sql) => {
      await sql`update x3sproxy.secret_versions set header = ${header}, scheme = ${scheme}`;
      await sql`update x3sproxy.providers set header = ${header}, scheme = ${scheme}`;
    });
    await it.refusal("secret_unreadable");
  }
  assert.equal(it.received.length, 0);
});

for (const format of [1, 2] as const) {
  test(`a key that was sealed in format ${format} goes where it was recorded for, and nowhere else`, async (t) => {
    const it = await openAcme(t);
    const { database, workspaceId } = it.plane;
    const key = new MasterKey(Buffer.from(database.masterKey, "base64"));
    assert.ok(new KeyRing([key]).ids.includes(key.id));
    await it.edit(async (sql) => {
      const [row] = await sql<{ secretId: string; version: number; origin: string }[]>`
        select secret_id as "secretId", version, origin from x3sproxy.secret_versions`;
      assert.ok(row !== undefined);
      const sealed = sealAsBefore(format, key, { workspaceId, ...row }, KEY);
      await sql`
        update x3sproxy.secret_versions
        set wrapped_key = ${sealed.wrappedKey}, ciphertext = ${sealed.ciphertext}`;
    });
    assert.equal((await it.call()).status, 200);
    assert.match(it.received.at(-1) ?? "", new RegExp(`^x-acme-key: ${KEY}\r$`, "m"));
    await it.put({ header: "x-other-key", scheme: "" });
    await it.refusal("header_changed");
    assert.ok(it.received.every((text) => text.includes(`\r\nx-acme-key: ${KEY}\r\n`)));
  });
}

test("the login of the control plane can't write where a key goes", async (t) => {
  const { plane } = await openTarget(t);
  const rows = await withOwner(
    plane.ownerUrl,
    (sql) => sql`
      select column_name from information_schema.column_privileges
      where table_schema = 'x3sproxy' and table_name = 'secret_versions' and privilege_type = 'UPDATE'
        and grantee in ('x3sproxy_control', 'x3sproxy_proxy', 'PUBLIC')`,
  );
  assert.deepEqual([...rows], []);
});

const REFUSED = `
  accept accept-encoding baggage cf-ray content-type date expect forwarded from host if-none-match origin referer request-id
  sec-websocket-protocol server te traceparent tracestate upgrade user-agent x-amzn-requestid x-amzn-trace-id x-b3-traceid
  x-client-request-id x-cloud-trace-context x-correlation-id x-envoy-original-path x-forwarded-for x-forwarded-host
  x-http-method-override x-ms-client-request-id x-original-url x-real-ip x-request-id x-trace-id idempotency-key openai-request-id
  apim-request-id mistral-correlation-id x-debug-trace-id x-ds-trace-id x-fal-request-id x-generation-id x-goog-request-id
  x-ms-request-id x-amz-security-token x-original-host x-rewrite-url x-csrf-token proxy-authorization x3sproxy-token
  xrequestid x-reqid reqid x-rid x.request.id x-callid x-csrftoken b3 x-b3 idempotencykey x-idempotencykey useragent x-user-agent
  tracecontext x-clientip x-httpmethod`
  .trim()
  .split(/\s+/);

test("no field that names, routes or describes a request may carry a key, however it is spelled", () => {
  const spelled = fc
    .tuple(fc.constantFrom(...REFUSED), fc.infiniteStream(fc.boolean()))
    .map(([name, flips]) =>
      name.replace(/./g, (char) => (flips.next().value === true ? char.toUpperCase() : char)),
    )
    .chain((name) => fc.constantFrom(name, name.replaceAll("-", "_")));
  fc.assert(
    fc.property(spelled, (name) => {
      assert.equal(mayCarryKey(name), false, name);
    }),
    inputs(20, 2000),
  );
  const part = fc.constantFrom(
    ..."x api key token request id trace forwarded for host real ip".split(" "),
  );
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const name = parts.join("-");
      const field = fieldName(name);
      if (field.isRequestDropped || field.isIdentifying || field.isHopByHop) {
        assert.equal(mayCarryKey(name), false, name);
      }
    }),
    inputs(20, 2000),
  );
  for (const name of [
    "Authorization",
    "x-api-key",
    "api_key",
    "X-Acme",
    "x-auth-token",
    "private-token",
    "apikey",
  ]) {
    assert.equal(mayCarryKey(name), true, name);
  }
});
