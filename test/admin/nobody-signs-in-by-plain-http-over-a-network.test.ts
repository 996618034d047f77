// A session's cookie over plain http can be read by whoever sees the network.
import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { networkInterfaces } from "node:os";
import { text } from "node:stream/consumers";
import { it } from "node:test";
import { plainOverNetwork } from "../../src/admin/index.ts";
import { readConfig } from "../../src/platform/config.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { openAdmin } from "./fixture.ts";
import { openPeople, OWNER_EMAIL, PASSWORD, tokenOf } from "./people.ts";

/** A POST with a JSON body that names `host`, which fetch would not. */
async function post(url: string, path: string, host: string, body: object) {
  const asking = request(`${url}/api/v1${path}`, {
    method: "POST",
    headers: { host, "content-type": "application/json" },
  }).end(JSON.stringify(body));
  const [answer] = (await once(asking, "response")) as [IncomingMessage];
  const { code } = JSON.parse(await text(answer)) as { code?: string };
  return { status: answer.statusCode, code, cookie: answer.headers["set-cookie"]?.[0] };
}

/** This machine's on a network; undefined where there is none. */
const ADDRESS = Object.values(networkInterfaces())
  .flat()
  .find((it) => it?.internal === false && it.family === "IPv4")?.address;
const NEEDED = { status: 403, code: "https_needed", cookie: undefined };

it("with a dashboard URL of plain http on another host nothing makes a session, uses a link up or tries a password", async (t) => {
  const dashboardUrl = "http://x3s.example.test:8788";
  const { url, call, owner, setupToken, apiKey, log } = await openAdmin(t, { dashboardUrl });
  const password = PASSWORD;
  const setup = { token: setupToken, email: OWNER_EMAIL, password };
  const invited = await call("POST", "/api/v1/invitations", {
    email: "a@example.test",
    role: "viewer",
  });
  assert.equal(invited.status, 201, "an API key is not concerned");
  const token = tokenOf(invited);
  for (const host of ["x3s.example.test:8788", "x3s.example.test", "127.0.0.1:8788", "localhost"]) {
    for (const [path, body] of [
      ["/sign-in", { email: OWNER_EMAIL, password }],
      ["/setup", setup],
      ["/invitations/accept", { token, password }],
      ["/resets/accept", { token, password }],
      ["/links/look", { token }],
      ["/sign-in", {}],
    ] as const) {
      assert.deepEqual(await post(url, path, host, body), NEEDED, `${path} at ${host}`);
    }
  }
  const counts = await owner`
    select (select count(*)::int from x3sproxy.sessions) as sessions,
      (select count(*)::int from x3sproxy.users) as users,
      (select count(*)::int from x3sproxy.invitations) as invitations,
      (select count(*)::int from x3sproxy.setup_links) as setups,
      (select count(*)::int from x3sproxy.account_attempts) as attempts`;
  const untouched = { sessions: 0, users: 0, invitations: 1, setups: 1, attempts: 0 };
  assert.deepEqual([...counts], [untouched]);
  assert.equal((await call("GET", "/api/v1/whoami", undefined, apiKey)).status, 200);
  assert.ok(!log.join("").includes(PASSWORD));
});

it("on this machine plain http is enough", async (t) => {
  const { url } = await openPeople(t, { dashboardUrl: "http://127.0.0.1:8788" });
  for (const host of ["127.0.0.1:1", "localhost", "LOCALHOST:8788", "[::1]:8788"]) {
    const credentials = { email: OWNER_EMAIL, password: PASSWORD };
    const { status, cookie } = await post(url, "/sign-in", host, credentials);
    assert.equal(status, 200, host);
    assert.match(cookie ?? "", /^x3sproxy-8788=/);
  }
});

it(
  "a service that listens to a network lets nobody sign in by its address there",
  { skip: ADDRESS === undefined },
  async (t) => {
    const address = ADDRESS ?? "";
    const dashboardUrl = "http://127.0.0.1:8788";
    const { port, setupToken } = await openAdmin(t, { dashboardUrl, host: "0.0.0.0" });
    const url = `http://${address}:${port}`;
    const setup = { token: setupToken, email: OWNER_EMAIL, password: PASSWORD };
    assert.deepEqual(await post(url, "/setup", `${address}:${port}`, setup), NEEDED);
    assert.deepEqual(await post(url, "/setup", "x3s.example.test", setup), {
      ...NEEDED,
      ...{ status: 421, code: "host_not_allowed" },
    });
    assert.equal((await post(url, "/setup", "localhost", setup)).status, 201, "it was not used up");
  },
);

it("a TLS proxy in front, named by the dashboard URL, is enough", async (t) => {
  const { browse, made } = await openPeople(t, { dashboardUrl: "https://x3s.example.test" });
  assert.equal(made.status, 201);
  const signedIn = await browse().signIn(OWNER_EMAIL);
  assert.match(signedIn.headers.getSetCookie()[0] ?? "", /^__Host-x3sproxy-443=.*; Secure$/);
});

it("a service to which nobody can sign in says so when it starts", async (t) => {
  const database = await createTestDatabase();
  const env = { X3SPROXY_DASHBOARD_URL: "http://x3s.example.test:8788" };
  const service = await runService({ database, env });
  t.after(async () => {
    await service.remove();
    await database.drop();
  });
  await eventually(() => service.output.stderr.includes("Nobody can sign in"));
  await eventually(() => /"level":40,[^\n]*nobody can sign in/.test(service.output.stdout));
});

it("without a dashboard URL it is the admin address that decides", () => {
  for (const [address, plain] of [
    ["192.168.1.5:8788", true],
    ["[fd00::5]:8788", true],
    ["x3s.example.test:8788", true],
    ["127.0.0.2:8788", false],
    ["localhost:8788", false],
    ["[::1]:8788", false],
    // Each request's Host decides then.
    ["0.0.0.0:8788", false],
  ] as const) {
    const { dashboardUrl } = readConfig({ X3SPROXY_ADMIN_ADDR: address });
    assert.equal(plainOverNetwork(dashboardUrl), plain, address);
  }
});
