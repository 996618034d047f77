import assert from "node:assert/strict";
import { it } from "node:test";
import { assertHides } from "./fixture.ts";
import { OWNER_EMAIL, createBrowser, openPeople, newAddress } from "./people.ts";

const ID = "00000000-0000-4000-8000-000000000000";
const ROUTES: readonly (readonly [method: string, path: string, good: Record<string, unknown>])[] =
  [
    ["POST", "/sign-in", { email: OWNER_EMAIL, password: "x", code: "1" }],
    ["POST", "/setup", { token: "x", email: "a@example.test", password: "x" }],
    ["POST", "/links/look", { token: "x" }],
    ["POST", "/invitations/accept", { token: "x", password: "x" }],
    ["POST", "/resets/accept", { token: "x", password: "x", code: "1" }],
    ["POST", "/me/proof", { password: "x" }],
    ["PUT", "/me/password", { current: "x", password: "a good long one" }],
    ["PUT", "/me/second-factor", { seed: "A".repeat(32), code: "000000" }],
    ["PATCH", `/users/${ID}`, { role: "viewer", agents: ["a"] }],
    ["POST", `/users/${ID}/reset`, { secondFactor: true }],
    ["POST", "/invitations", { email: "a@example.test", role: "viewer", agents: ["a"] }],
    ["POST", "/api-keys", { name: "a", role: "viewer", allowedAddresses: ["10.0.0.1"] }],
    ["PATCH", "/workspace", { name: "default", rotationDays: 90 }],
  ];
const NOBODY: unknown[] = [];
const ODD: readonly unknown[] = [
  null,
  1,
  -1e308,
  true,
  "",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "x".repeat(5000),
  "'; drop table x3sproxy.users; --",
  "\u202e@\u200b.test",
  NOBODY,
  ["\u0000"],
  [null],
  {},
  { toString: 1 },
];

const MARKER = "FAKE-marker-of-what-was-sent";
/** Odd as they are, these are good there. */
const GOOD: ReadonlyMap<string, readonly unknown[]> = new Map([
  ["/invitations agents", [null]],
  ["/api-keys name", ["'; drop table x3sproxy.users; --", MARKER]],
  ["/api-keys allowedAddresses", [NOBODY]],
  ["/workspace rotationDays", [1]],
]);

it("whatever stands in a field, the answer is 4xx and repeats nothing of it", async (t) => {
  const { first, url, cookieName, owner, log } = await openPeople(t);
  const marker = MARKER;
  for (const [method, path, good] of ROUTES) {
    for (const field of [...Object.keys(good), marker]) {
      for (const odd of [...ODD, marker]) {
        if (path === "/sign-in" || path === "/me/proof") {
          await owner`delete from x3sproxy.account_attempts`;
        }
        const browser = path.startsWith("/me") ? first : createBrowser(url, cookieName);
        const signedIn =
          path.startsWith("/me") || /users|invitations$|api-keys|workspace/.test(path);
        const answer = await (signedIn ? first : browser).call(
          method,
          path,
          { ...good, [field]: odd },
          { "x-forwarded-for": newAddress() },
        );
        const what = `${method} ${path} ${field}: ${JSON.stringify(odd).slice(0, 50)}: ${answer.text}`;
        const isTaken = GOOD.get(`${path} ${field}`)?.includes(odd) === true;
        assert.equal(answer.status >= 400, !isTaken, what);
        assert.ok(answer.status < 500, what);
        if (field === marker) assert.equal(answer.status, 422, what);
        if (field === marker || odd === marker) {
          if (answer.status >= 400) assertHides(answer.text, marker);
        }
      }
    }
  }
  assert.ok(!log.some((line) => line.includes('"level":50')), "no error of ours in the log");
  assertHides(log.join(""), marker);
});
