// Browsers send a host's cookies to every port of it (RFC 6265, 8.5): what an agent serves on this machine gets the session's. With the
// cookie it tries every route that there is, by itself and through the browser of who is signed in.
import assert from "node:assert/strict";
import { after, before, test, type TestContext } from "node:test";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { OpenApiDocument } from "../../src/admin/openapi.ts";
import { sendTo } from "../admin/fixture.ts";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService, type RunningService } from "../support/service.ts";

const OWNER = { email: "owner@example.test", password: "a FAKE passphrase of nobody, 7Kq" };
const KEPT = "x3sproxy-session";

/** Somebody else's page on this machine: it keeps what browsers send to it. */
async function openStranger(t: TestContext) {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers);
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>A page</title><h1>A page</h1>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { port, cookies: () => seen.map(({ cookie }) => cookie ?? "").join("; ") };
}

const closers: (() => Promise<void>)[] = [];
let services: readonly [RunningService, RunningService];
before(async () => {
  services = await Promise.all([openService(), openService()]);
});
after(async () => {
  for (const close of closers) await close();
});

/** With its first user. */
async function openService(): Promise<RunningService> {
  const database = await createTestDatabase();
  const service = await runService({ database, env: { X3SPROXY_LOG_LEVEL: "warn" } });
  closers.push(async () => {
    await service.remove();
    await database.drop();
  });
  const token = /#token=(x3ssetup_\w+)/.exec(service.output.stderr)?.[1];
  const made = await sendTo(service.adminUrl, "/api/v1/setup", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token, ...OWNER }),
  });
  assert.equal(made.status, 201, made.text);
  return service;
}

async function signIn({ page }: WatchedPage): Promise<void> {
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** Every route, as far as it can be named without knowing anything, with the cookie and what a thief would add. */
async function replay(url: string, cookie: string): Promise<void> {
  const { body } = await sendTo(url, "/api/v1/openapi.json");
  const { paths } = body as unknown as OpenApiDocument;
  let tried = 0;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { security, operationId }] of Object.entries(methods)) {
      if (security.length === 0) continue;
      tried += 1;
      for (const headers of [
        { cookie },
        { cookie, [KEPT]: `x3ssecret_${"A".repeat(43)}` },
        {
          cookie,
          [KEPT]: cookie.replace(/^.*=/, ""),
          origin: url,
          "sec-fetch-site": "same-origin",
        },
      ] as Record<string, string>[]) {
        const hasBody = method !== "get" && method !== "delete";
        const answer = await sendTo(url, `/api/v1${path.replaceAll(/\{\w+\}/g, "x")}`, {
          method: method.toUpperCase(),
          headers: { ...headers, ...(hasBody && { "content-type": "application/json" }) },
          ...(hasBody && { body: '{"name":"stolen","role":"owner"}' }),
        });
        // Past twenty failures of one address the next one is told to wait.
        const { code } = answer.body;
        assert.ok(code === "unauthenticated" || code === "too_many_attempts", operationId);
        assert.ok(!answer.text.includes(OWNER.email), operationId);
      }
    }
  }
  assert.ok(tried > 50, String(tried));
}

test("on 127.0.0.1 and on localhost a page on another port gets the cookie, and the cookie opens nothing", async (t) => {
  const [service] = services;
  const stranger = await openStranger(t);
  const browser = await openBrowser(t);
  for (const host of ["127.0.0.1", "localhost"]) {
    const url = service.adminUrl.replace("127.0.0.1", host);
    const watched = await browser.open(`${url}/sign-in`);
    await signIn(watched);
    const { page } = await watched.openTab(`http://${host}:${stranger.port}/`);
    const [cookie = ""] = /x3sproxy-\d+=x3ssess_[\w-]{43}/.exec(stranger.cookies()) ?? [];
    assert.notEqual(cookie, "", "the browser gave it away");
    assert.doesNotMatch(stranger.cookies(), /x3ssecret_/);
    await replay(service.adminUrl, cookie);

    const found = await page.evaluate<unknown[]>(`(async () => {
      const tried = [localStorage.getItem("${KEPT}")];
      for (const init of [
        { credentials: "include" },
        { credentials: "include", headers: { "${KEPT}": "x3ssecret_${"A".repeat(43)}" } },
        { credentials: "include", method: "POST", body: "{}" },
      ]) {
        tried.push(await fetch("${url}/api/v1/me", init).then((it) => it.status, () => "refused"));
      }
      const opened = window.open("${url}/");
      await new Promise((done) => setTimeout(done, 500));
      try {
        tried.push(opened.localStorage.getItem("${KEPT}"));
      } catch {
        tried.push("refused");
      }
      return tried;
    })()`);
    assert.deepEqual(found, [null, "refused", "refused", "refused", "refused"]);
    await watched.page.reload();
    await watched.page.getByRole("heading", { name: "Overview" }).waitFor();
    assert.deepEqual(watched.complaints, []);
  }
});

test("tabs share a session; signing out ends it in all of them, and a second service on another port does not", async (t) => {
  const [service, another] = services;
  const browser = await openBrowser(t);
  const watched = await browser.open(`${service.adminUrl}/sign-in`);
  await signIn(watched);
  const elsewhere = await watched.openTab(`${another.adminUrl}/sign-in`);
  await signIn(elsewhere);
  const tab = await watched.openTab(`${service.adminUrl}/secrets`);
  await tab.page.getByRole("heading", { name: "Secrets", exact: true }).waitFor();

  const secretIn = ({ page }: WatchedPage) =>
    page.evaluate<string | null>(`localStorage.getItem("${KEPT}")`);
  assert.match((await secretIn(tab)) ?? "", /^x3ssecret_/);
  assert.equal(await secretIn(tab), await secretIn(watched));
  await tab.page.getByRole("button", { name: "Sign out" }).click();
  for (const { page } of [tab, watched]) {
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  }
  assert.equal(await secretIn(watched), null);
  await elsewhere.page.reload();
  await elsewhere.page.getByRole("heading", { name: "Overview" }).waitFor();
});

test("no answer but the one that begins a session, or renews it, tells a secret", async () => {
  const [service] = services;
  const headers = { "content-type": "application/json" };
  const begun = await sendTo(service.adminUrl, "/api/v1/sign-in", {
    ...{ method: "POST", headers, body: JSON.stringify(OWNER) },
  });
  const secret = String(begun.body["sessionSecret"]);
  assert.match(secret, /^x3ssecret_[\w-]{43}$/);
  const cookie = begun.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const { body } = await sendTo(service.adminUrl, "/api/v1/openapi.json");
  let asked = 0;
  for (const [path, { get }] of Object.entries((body as unknown as OpenApiDocument).paths)) {
    if (get === undefined) continue;
    const answer = await sendTo(service.adminUrl, `/api/v1${path.replaceAll(/\{\w+\}/g, "x")}`, {
      headers: { cookie, [KEPT]: secret },
    });
    assert.doesNotMatch(answer.text, /x3ssecret_[\w-]/, path);
    if (answer.status === 200) asked += 1;
  }
  assert.ok(asked > 15, String(asked));
  const proved = await sendTo(service.adminUrl, "/api/v1/me/proof", {
    method: "POST",
    headers: { ...headers, cookie, [KEPT]: secret },
    body: JSON.stringify({ password: OWNER.password }),
  });
  assert.equal(proved.status, 200);
  assert.doesNotMatch(proved.text, /x3ssecret_/);
  assert.ok(!service.output.stderr.includes(secret));
});
