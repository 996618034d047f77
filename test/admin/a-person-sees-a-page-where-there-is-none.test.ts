// What is wrong with a path, as a person and as a program is told: a browser shows a page, the API is JSON whatever is asked for.
import assert from "node:assert/strict";
import { it } from "node:test";
import { ask } from "../support/attack.ts";
import { openAdmin } from "./fixture.ts";

const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const PROBLEM = "application/problem+json; charset=utf-8";
const PAGE = "text/html; charset=utf-8";

it("a path that is no page's is the dashboard's page to a person, and a problem to a program", async (t) => {
  const { send } = await openAdmin(t);
  const dashboard = await send("/", { headers: { accept: BROWSER } });
  for (const path of ["/nothing", "/agents/a/b/c", "/index.html", "/apis", "/assets/x.js", "/?x"]) {
    const page = await send(path, { headers: { accept: BROWSER } });
    assert.equal(page.status, path === "/?x" ? 200 : 404, path);
    assert.equal(page.headers.get("content-type"), PAGE, path);
    assert.equal(page.text, dashboard.text, path);
    assert.equal(
      page.headers.get("content-security-policy"),
      dashboard.headers.get("content-security-policy"),
    );
  }
  for (const [path, method, accept] of [
    ["/nothing", "GET", "*/*"],
    ["/nothing", "GET", "application/json"],
    ["/nothing", "POST", BROWSER],
    ["/api", "GET", BROWSER],
    ["/api/v1/nothing", "GET", BROWSER],
    ["/api/v1/agents", "GET", BROWSER],
    ["/API/v1/nothing", "GET", BROWSER],
  ] as const) {
    const answer = await send(path, { method, headers: { accept } });
    assert.equal(answer.headers.get("content-type"), PROBLEM, `${method} ${path}`);
    assert.ok(answer.status === 404 || answer.status === 401, `${method} ${path}`);
  }
});

it("what else is wrong with a path or a host is a short page to a person, with nothing of what was sent", async (t) => {
  const { send, url } = await openAdmin(t);
  for (const [path, status] of [
    ["/%zz", 400],
    ["/agents/<img src=x>%", 400],
    [`/agents/${"x".repeat(600)}`, 404],
  ] as const) {
    const page = await send(path, { headers: { accept: BROWSER } });
    assert.equal(page.status, status, path);
    assert.equal(page.headers.get("content-type"), PAGE, path);
    assert.match(page.text, /<h1>\d{3} /, path);
    assert.doesNotMatch(page.text, /zz|<img|xxxx|elsewhere/, path);
    const answer = await send(path);
    assert.equal(answer.headers.get("content-type"), PROBLEM, path);
  }
  const foreign = await ask(Number(new URL(url).port), [
    ...["GET /secrets HTTP/1.1", "Host: elsewhere.example", `Accept: ${BROWSER}`],
  ]);
  assert.match(foreign.text, /^HTTP\/1\.1 421 /);
  assert.match(foreign.text, /X3SPROXY_DASHBOARD_URL/);
  assert.match(foreign.text, /<h1>421 /);
  assert.doesNotMatch(foreign.text, /elsewhere/);
});
