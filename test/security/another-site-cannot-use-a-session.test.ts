// CSRF: a page of another site has the browser of somebody who is signed in send requests here.
import assert from "node:assert/strict";
import { it } from "node:test";
import { DASHBOARD_URL } from "../admin/fixture.ts";
import { OWNER_EMAIL, PASSWORD, assertRefused, openPeople } from "../admin/people.ts";

it("a change needs the session's own token, and no sign of another site", async (t) => {
  const { first, browse, port } = await openPeople(t);
  const other = browse();
  await other.signIn(OWNER_EMAIL);
  const tokenIn = async (browser: typeof first) => {
    const { body } = await browser.call("GET", "/me");
    return (body["me"] as { session: { csrfToken: string } }).session.csrfToken;
  };
  const token = await tokenIn(first);
  const invite = (headers: Record<string, string>) =>
    first.call("POST", "/invitations", { email: "a@example.test", role: "viewer" }, headers);

  for (const headers of [
    { "x-csrf-token": "" },
    { "x-csrf-token": `${token}x` },
    { "x-csrf-token": token.slice(0, -1) },
    { "x-csrf-token": await tokenIn(other) },
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
    assertRefused(await invite(headers), 403, "csrf");
  }
  for (const headers of [
    {},
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "same-origin", origin: DASHBOARD_URL },
    { origin: `http://127.0.0.1:${port}` },
  ] as Record<string, string>[]) {
    assert.equal((await invite(headers)).status, 201, JSON.stringify(headers));
  }
});

it("no way of changing something goes without it", async (t) => {
  const { first, browse, ownerId } = await openPeople(t);
  const cookie = `__Host-x3sproxy=${first.cookie() ?? ""}`;
  for (const [method, path, body] of [
    ["POST", "/sign-out"],
    ["POST", "/me/proof", { password: PASSWORD }],
    ["PUT", "/me/password", { current: PASSWORD, password: "another good one" }],
    ["PUT", "/me/second-factor", {}],
    ["DELETE", "/me/second-factor"],
    ["POST", "/me/recovery-codes"],
    ["DELETE", "/me/sessions"],
    ["DELETE", `/me/sessions/${ownerId}`],
    ["PATCH", `/users/${ownerId}`, { role: "viewer" }],
    ["DELETE", `/users/${ownerId}`],
    ["POST", "/api-keys", {}],
    ["PATCH", "/workspace", {}],
    ["PUT", "/secrets", {}],
    ["POST", "/agents/coder/deployments", {}],
    ["DELETE", "/agents/coder"],
    ["DELETE", "/providers/acme"],
  ] as const) {
    const answer = await browse().call(method, path, body, { cookie });
    assertRefused(answer, 403, "csrf");
  }
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
