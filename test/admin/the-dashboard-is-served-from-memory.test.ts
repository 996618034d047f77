import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { it } from "node:test";
import { fastify } from "fastify";
import { addDashboard } from "../../src/admin/dashboard.ts";
import { PATHS } from "../../src/dashboard/paths.ts";
import { openAdmin } from "./fixture.ts";

const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
  "form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const INLINE = /<style|<script(?![^>]* src=)|\son\w+=|\sstyle=|javascript:|data:/i;
const concrete = (path: string): string => path.replace(/:\w+/g, "anything");

it("each page is served to anybody, under the strict policy, without inline code or style", async (t) => {
  const { call } = await openAdmin(t);
  for (const path of Object.values(PATHS)) {
    const page = await call("GET", `${concrete(path)}?provider=openai&x=zyx`, undefined, null);
    assert.equal(page.status, 200, path);
    assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(page.headers.get("cache-control"), "no-store");
    assert.equal(page.headers.get("content-security-policy"), POLICY);
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    assert.equal(page.headers.get("cross-origin-opener-policy"), "same-origin");
    assert.equal(page.headers.get("cross-origin-resource-policy"), "same-origin");
    assert.equal(page.headers.get("referrer-policy"), "no-referrer");
    assert.doesNotMatch(page.text, INLINE);
    assert.doesNotMatch(page.text, /openai|zyx/, "nothing of the query is in the page");
  }
});

it("each file of the build is served for ever, by its own type, plain and compressed", async (t) => {
  const { call, send } = await openAdmin(t);
  const page = await call("GET", "/", undefined, null);
  const loaded = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
  const built = await readdir(new URL("../../dist/dashboard/assets", import.meta.url));
  const files = built.filter((name) => !name.endsWith(".gz")).map((name) => `/assets/${name}`);
  assert.ok(loaded.length >= 3 && loaded.every((path) => files.includes(path)), loaded.join());
  for (const path of files) {
    const plain = await send(path, { headers: { "accept-encoding": "identity" } });
    assert.equal(plain.status, 200, path);
    const type = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
    const ending = path.split(".").at(-1) as keyof typeof type;
    assert.equal(plain.headers.get("content-type")?.split(";")[0], type[ending]);
    assert.equal(plain.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.equal(plain.headers.get("vary"), "accept-encoding");
    assert.equal(plain.headers.get("content-encoding"), null);
    const packed = await send(path, { headers: { "accept-encoding": "br, gzip" } });
    assert.equal(packed.headers.get("content-encoding"), "gzip");
    assert.equal(packed.text, plain.text);
    const refused = await send(path, { headers: { "accept-encoding": "gzip;q=0" } });
    assert.equal(refused.headers.get("content-encoding"), null);
  }
});

it("no other path reaches a file", async (t) => {
  const { call } = await openAdmin(t);
  for (const path of [
    "/index.html",
    "/pages.json",
    "/assets",
    "/assets/",
    "/assets/..%2findex.html",
    "/assets/%2e%2e/pages.json",
    "/assets/../../package.json",
    "/secrets/a/b",
    "/dist/dashboard/index.html",
  ]) {
    assert.equal((await call("GET", path, undefined, null)).status, 404, path);
  }
});

it("without a build, the paths that the service points to say which command builds it", async (t) => {
  const app = fastify();
  t.after(() => app.close());
  await addDashboard(app, "/nowhere");
  for (const path of ["/", "/setup", "/secrets?provider=openai", "/invitation", "/reset"]) {
    const page = await app.inject(path);
    assert.equal(page.statusCode, 200);
    assert.match(page.body, /npm run build/);
    assert.doesNotMatch(page.body, INLINE);
  }
});
