import assert from "node:assert/strict";
import { it } from "node:test";
import { openPeople, OWNER_EMAIL, PASSWORD, assertRefused } from "../admin/people.ts";
import { runCli } from "./fixture.ts";

it("with the owner API key of the data folder: another password, and the second factor taken away", async (t) => {
  const admin = await openPeople(t);
  const { first, browse, enrol, events } = admin;
  await enrol(first);
  const environment = { X3SPROXY_ADMIN_URL: admin.url, X3SPROXY_API_KEY: admin.apiKey };
  const run = (...args: string[]) => runCli(args, { environment });

  const { status, stdout, stderr } = await run(
    "user",
    "reset",
    OWNER_EMAIL.toUpperCase(),
    "--second-factor",
  );
  assert.equal(status, 0, stderr);
  const link = /https:\/\/x3s\.example\.test\/reset#token=(x3slink_\w{32})/.exec(stdout);
  assert.ok(link !== null, stdout);
  assert.match(
    stdout,
    /^first@example\.test can set another password with this link\. It works once/,
  );
  const browser = browse();
  const answer = await browser.call("POST", "/resets/accept", {
    token: link[1],
    password: "quite another one",
  });
  assert.equal(answer.status, 200, answer.text);
  assertRefused(await first.call("GET", "/me"), 401, "unauthenticated");
  assert.equal((await browse().signIn(OWNER_EMAIL, "quite another one")).status, 200);
  const [event] = await events("reset_link.create");
  assert.partialDeepStrictEqual(event, { actor_kind: "api_key", target_name: OWNER_EMAIL });
});

it("people are invited and listed", async (t) => {
  const admin = await openPeople(t);
  const environment = { X3SPROXY_ADMIN_URL: admin.url, X3SPROXY_API_KEY: admin.apiKey };
  const run = (...args: string[]) => runCli(args, { environment });
  const invited = await run("user", "invite", "Ada@example.test", "--role", "operator", "--json");
  assert.equal(invited.status, 0, invited.stderr);
  const { email, role, url } = JSON.parse(invited.stdout) as Record<string, string>;
  assert.deepEqual([email, role], ["ada@example.test", "operator"]);
  const accepted = await admin.browse().call("POST", "/invitations/accept", {
    token: url?.split("#token=")[1],
    password: PASSWORD,
  });
  assert.equal(accepted.status, 201, accepted.text);
  const list = await run("user", "list");
  assert.match(list.stdout, /^E-MAIL +ROLE +SECOND FACTOR +SIGNED IN\n/);
  assert.match(list.stdout, /\nada@example\.test +operator +no +just now\n/);
  assert.doesNotMatch(list.stdout, /x3s/);
});
