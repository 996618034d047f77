import assert from "node:assert/strict";
import { it } from "node:test";
import { openAdmin } from "./fixture.ts";

it("each page and what it loads is served to anybody, under the strict policy", async (t) => {
  const { call } = await openAdmin(t);
  for (const path of ["/", "/secrets?provider=openai&environment=production", "/setup"]) {
    const page = await call("GET", path, undefined, null);
    assert.equal(page.status, 200);
    assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(
      page.headers.get("content-security-policy"),
      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; " +
        "frame-ancestors 'none'; base-uri 'none'",
    );
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    assert.equal(page.headers.get("cross-origin-opener-policy"), "same-origin");
    assert.equal(page.headers.get("cross-origin-resource-policy"), "same-origin");
    assert.equal(page.headers.get("referrer-policy"), "no-referrer");
    assert.doesNotMatch(page.text, /<style|<script(?![^>]* src=)|\son\w+=|\sstyle=|javascript:/i);
    assert.doesNotMatch(page.text, /openai&|production"/, "nothing of the query is in the page");
    for (const [, loaded = ""] of page.text.matchAll(/(?:src|href)="(\/pages\/[^"]+)"/g)) {
      const part = await call("GET", loaded, undefined, null);
      assert.equal(part.status, 200, loaded);
      assert.match(part.headers.get("content-type") ?? "", /^text\/(css|javascript)/);
    }
  }
});
