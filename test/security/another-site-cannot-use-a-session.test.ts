// CSRF: a page of another site has the browser of somebody who is signed in send requests here.
import assert from "node:assert/strict";
import { it } from "node:test";
import { DASHBOARD_URL } from "../admin/fixture.ts";
import { OWNER_EMAIL, PASSWORD, assertRefused, openPeople } from "../admin/people.ts";

it("no sign of another site may come with a session, whatever is asked for", async (t) => {
  const { first, port } = await openPeople(t);
  const ask = [
    (headers: Record<string, string>) =>
      first.call("POST", "/invitations", { email: "a@example.test", role: "viewer" }, headers),
    (headers: Record<string, string>) => first.call("GET", "/me", undefined, headers),
  ];
  for (const headers of [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "none" },
    { origin: "https://evil.example" },
    { origin: "https://x3s.example.test.evil.example" },
    { origin: "http://x3s.example.test" },
    { origin: "https://x3s.example.test:444" },
    { origin: "null" },
    { origin: "" },
    { origin: `http://127.0.0.1:${port + 1}` },
    { origin: `${DASHBOARD_URL}, https://evil.example` },
    { "sec-fetch-site": "same-origin", origin: "https://evil.example" },
  ] as Record<string, string>[]) {
    for (const it of ask) assertRefused(await it(headers), 403, "csrf");
  }
  for (const headers of [
    {},
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "same-origin", origin: DASHBOARD_URL },
    { origin: `http://127.0.0.1:${port}` },
  ] as Record<string, string>[]) {
    for (const it of ask) assert.ok((await it(headers)).status < 300, JSON.stringify(headers));
  }
});

it("without the session's own secret it is nobody's request, and says nothing of the session", async (t) => {
  const { first, browse, cookieName } = await openPeople(t);
  const other = browse();
  await other.signIn(OWNER_EMAIL);
  const secret = first.secret() ?? "";
  const nobody = await browse().call("GET", "/me", undefined, {
    cookie: `${cookieName}=x3ssess_${"A".repeat(43)}`,
    "x3sproxy-session": `x3ssecret_${"A".repeat(43)}`,
  });
  assertRefused(nobody, 401, "unauthenticated");
  for (const shown of [
    undefined,
    "",
    `${secret}x`,
    secret.slice(0, -1),
    secret.toUpperCase(),
    first.cookie() ?? "",
    other.secret() ?? "",
  ]) {
    for (const [method, path] of [
      ["GET", "/me"],
      ["POST", "/api-keys"],
      ["POST", "/sign-out"],
    ] as const) {
      const answer = await browse().call(method, path, undefined, {
        cookie: `${cookieName}=${first.cookie() ?? ""}`,
        ...(shown !== undefined && { "x3sproxy-session": shown }),
      });
      assert.deepEqual([answer.status, answer.text], [401, nobody.text]);
      assert.deepEqual(answer.headers.getSetCookie(), []);
    }
  }
  const alone = await browse().call("GET", "/me", undefined, { "x3sproxy-session": secret });
  assertRefused(alone, 401, "unauthenticated");
  assert.equal((await first.call("GET", "/me")).status, 200);
});

it("nor can another site sign somebody in as somebody else", async (t) => {
  const { browse, setupToken } = await openPeople(t);
  for (const headers of [
    { "sec-fetch-site": "cross-site" },
    { origin: "https://evil.example" },
  ] as Record<string, string>[]) {
    const credentials = { email: OWNER_EMAIL, password: PASSWORD };
    const answer = await browse().call("POST", "/sign-in", credentials, headers);
    assertRefused(answer, 403, "csrf");
    assert.deepEqual(answer.headers.getSetCookie(), []);
    for (const path of ["/setup", "/links/look", "/invitations/accept", "/resets/accept"]) {
      const link = await browse().call("POST", path, { token: setupToken }, headers);
      assertRefused(link, 403, "csrf");
    }
  }
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const body = { email: OWNER_EMAIL, password: PASSWORD };
  assert.equal((await browse().call("POST", "/sign-in", body, form)).status, 415);
  const text = { "content-type": "text/plain" };
  assert.equal((await browse().call("POST", "/sign-in", body, text)).status, 415);
});

it("an API key is no browser's: it needs no token", async (t) => {
  const { call } = await openPeople(t);
  const answer = await call("POST", "/api/v1/invitations", {
    email: "a@example.test",
    role: "viewer",
  });
  assert.equal(answer.status, 201);
});
