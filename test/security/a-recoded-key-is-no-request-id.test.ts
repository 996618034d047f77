// An upstream has the key that it was called with, and writes what it likes into its request id, which the log gets: no part of the
// key, in no form that a program makes of it by mistake, and nothing that doesn't look like an id.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { echoes } from "../../src/proxy/echoes.ts";
import { loggedId, reflectsCredential } from "../../src/proxy/request-ids.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";
import { inputs } from "../support/generated.ts";

const backwards = (text: string): string => Buffer.from(text).reverse().toString();
const FORMS: Readonly<Record<string, (key: string) => string>> = {
  plain: (key) => key,
  backwards,
  "upper case": (key) => key.toUpperCase(),
  "lower case": (key) => key.toLowerCase(),
  "backwards in lower case": (key) => backwards(key).toLowerCase(),
  hex: (key) => Buffer.from(key).toString("hex"),
  "upper-case hex": (key) => Buffer.from(key).toString("hex").toUpperCase(),
  base64: (key) => Buffer.from(key).toString("base64"),
  base64url: (key) => Buffer.from(key).toString("base64url"),
  URL: (key) => Buffer.from(key).toString("hex").replace(/../g, "%$&"),
  UUID: (key) => key.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5"),
};
const AROUND: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `req_${text}`,
  (text) => `${text}-2`,
  (text) => `id:${text}`,
  (text) => text.replaceAll("=", ""),
];

const sign = (alphabet: string) => fc.constantFrom(...alphabet.split(""));
const ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const keys = fc.oneof(
  fc.string({ unit: sign(ALNUM), minLength: 30, maxLength: 60 }).map((it) => `sk-FAKE-${it}`),
  fc.string({ unit: sign(`${ALNUM}-_`), minLength: 80, maxLength: 95 }).map((it) => `sk-ant-${it}`),
  fc.string({ unit: sign("0123456789abcdef"), minLength: 32, maxLength: 32 }),
  fc.string({ unit: sign(ALNUM), minLength: 16, maxLength: 24 }),
);

function getsThrough(id: string, key: string): boolean {
  const headers = ["x", "y", "authorization", `Bearer ${key}`];
  return loggedId(id) !== undefined && !reflectsCredential(id, headers, 2);
}

test("a key, or sixteen characters of one, in each form", () => {
  fc.assert(
    fc.property(
      keys,
      fc.constantFrom(...Object.keys(FORMS)),
      fc.constantFrom(...AROUND),
      fc.option(fc.nat({ max: 60 })),
      (key, form, around, from) => {
        const part = from === null ? key : key.slice(from % (key.length - 15)).slice(0, 16);
        const id = around((FORMS[form] ?? backwards)(part));
        assert.equal(getsThrough(id, key), false, `${form}: ${id}`);
      },
    ),
    inputs(20, 5000),
  );
});

test("what providers and clients really send is logged", () => {
  const uuid = fc.uuid();
  const hex = (length: number) =>
    fc.string({ unit: sign("0123456789abcdef"), minLength: length, maxLength: length });
  const alnum = (length: number) =>
    fc.string({ unit: sign(ALNUM), minLength: length, maxLength: length });
  const ids = fc.oneof(
    uuid,
    uuid.map((it) => it.toUpperCase()),
    uuid.map((it) => `req-${it}`),
    hex(32),
    hex(32).map((it) => `req_${it}`), // OpenAI
    alnum(24).map((it) => `req_${it}`), // Anthropic
    fc.ulid().map((it) => `req_${it.toLowerCase()}`), // Groq
    fc.ulid(),
    alnum(20).map((it) => `gen-1764526000-${it}`), // OpenRouter
    hex(16).map((it) => `${it}-FRA`), // Cloudflare
    hex(24).map((it) => `Root=1-67891233-${it}`), // AWS
    fc.constantFrom("r1", "mine-1", "job-42/step-3", "2026-11-30T12:00:00Z"),
  );
  let lost = 0;
  const runs = 3000;
  fc.assert(
    fc.property(ids, keys, (id, key) => {
      if (!getsThrough(id, key)) lost++;
    }),
    inputs(20, runs),
  );
  assert.ok(lost <= runs / 1000, `${lost} of ${runs}`);
});

test("what doesn't look like an id is left out", () => {
  for (const id of [
    "a".repeat(33),
    "YWJj+ZGVm/Z2hp==",
    "with a space",
    "0f".repeat(17),
    `req_${"a".repeat(41)}`,
    "name=value",
    "%41%42%43",
    "",
  ]) {
    assert.equal(loggedId(id), undefined, id);
  }
});

test("a short key is found whole, and a long text costs no more than its length", () => {
  assert.equal(echoes("req_yekym", "mykey"), true);
  assert.equal(echoes("abcd", "xxabcdxx"), false, "no more than the dashboard shows");
  const key = `sk-ant-${"Zx9".repeat(40)}`;
  const startMs = performance.now();
  for (let i = 0; i < 1000; i++) echoes("req_0123456789abcdef0123456789abcdef", key);
  assert.ok(performance.now() - startMs < 500);
});

test("in the log of real calls", async (t) => {
  const key = "sk-proj-FAKE-key-that-an-upstream-sends-back-0123";
  let id = "";
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () =>
      socket.write(`HTTP/1.1 200 OK\r\nx-request-id: ${id}\r\ncontent-length: 2\r\n\r\nok`),
    );
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  await plane.save("openai", key);
  const client = await openWireClient(plane.port);
  let calls = 0;
  const logged = async (): Promise<unknown> => {
    const path = `/v1/n${++calls}`;
    client.send(head(plane.token, `/openai${path}`));
    await client.answer();
    return (await plane.exchange((line) => line["path"] === path))["upstreamRequestId"];
  };
  for (const [form, encode] of Object.entries(FORMS)) {
    for (const part of [key, key.slice(5, 25)]) {
      id = `req_${encode(part)}`;
      assert.equal(await logged(), undefined, form);
    }
  }
  id = "req_0af7651916cd43dd8448eb211c80319c";
  assert.equal(await logged(), id);
});
