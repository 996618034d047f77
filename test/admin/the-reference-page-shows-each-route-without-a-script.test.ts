import assert from "node:assert/strict";
import { it } from "node:test";
import { html, prose } from "../../src/admin/html.ts";
import { PROBLEMS } from "../../src/contract/index.ts";
import { DASHBOARD_URL, openAdmin } from "./fixture.ts";

it("/reference has each route, field and code, and its links lead somewhere", async (t) => {
  const { call, routes } = await openAdmin(t);
  const page = await call("GET", "/reference", undefined, null);
  assert.equal(page.status, 200);
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
  assert.doesNotMatch(page.text, /<script|<style|\son\w+=|\sstyle=|javascript:/i);
  const text = page.text.replaceAll("<wbr />", "").replaceAll(/\s+>/g, ">");
  for (const { method, path } of routes) {
    assert.ok(text.includes(`>${method}</b>`), method);
    assert.ok(text.includes(`<code>${path.replace(/:(\w+)/g, "{$1}")}</code>`), path);
  }
  for (const code of Object.keys(PROBLEMS)) assert.ok(text.includes(`<code>${code}</code>`), code);
  const document = (await call("GET", "/api/v1/openapi.json", undefined, null)).body;
  const fields = fieldsOf(document);
  assert.ok(fields.size > 150, `${fields.size} fields`);
  for (const field of fields) {
    // Alone, or behind the object that it is in.
    assert.match(
      text,
      new RegExp(`<code>(?:[\\w.[\\]]+\\.)?${RegExp.escape(field)}</code>`),
      field,
    );
  }
  assert.ok(text.includes(`curl ${DASHBOARD_URL}/api/v1/agents`));
  const ids = [...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length, "ids are unique");
  const links = [...text.matchAll(/ href="#([^"]+)"/g)].map(([, id]) => id);
  assert.deepEqual(
    links.filter((link) => !ids.includes(link)),
    [],
  );
  const style = await call("GET", "/reference.css", undefined, null);
  assert.equal(style.headers.get("content-type"), "text/css; charset=utf-8");
});

/** The names of all fields and parameters that an OpenAPI document describes. */
function fieldsOf(document: unknown): Set<string> {
  const names = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const { properties, in: place, name } = value as Record<string, unknown>;
    if (typeof properties === "object" && properties !== null) {
      for (const each of Object.keys(properties)) names.add(each);
    }
    if (typeof place === "string" && typeof name === "string" && place !== "path") names.add(name);
    for (const each of Object.values(value)) walk(each);
  };
  walk((document as Record<string, unknown>)["paths"]);
  return names;
}

it("what is put into a template is text, unless it was made as HTML", () => {
  const text = `<b onclick='x'>&"`;
  assert.equal(
    html`<p title="${text}">${text}${[html`<i>${1}</i>`]}${undefined}</p>`.text,
    '<p title="&#60;b onclick=&#39;x&#39;&#62;&#38;&#34;">&#60;b onclick=&#39;x&#39;&#62;&#38;&#34;<i>1</i></p>',
  );
  assert.equal(html`${prose("a `<b>` c")}`.text, "a <code>&#60;b&#62;</code> c");
});
