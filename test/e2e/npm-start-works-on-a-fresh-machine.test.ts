// What somebody sees who has just cloned it: npm start, then what it prints, word for word; and all of it again after a
// restart.
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { eventually } from "../support/eventually.ts";
import {
  copyCheckout,
  isListening,
  notAsRoot,
  postgresOf,
  type Checkout,
  type User,
} from "./checkout.ts";

const FAKE_KEY = "sk-proj-FAKE-openai-key-of-a-newcomer-4444";
const NOBODY: User = { uid: 65_534, gid: 65_534 };

const MACHINES: readonly { title: string; open: boolean; user?: User; skip: string | false }[] = [
  { title: "in a path with a space", open: true, skip: process.platform === "win32" && "no sh" },
  { title: "as root, below a folder that only root may enter", open: false, skip: notAsRoot },
  { title: "as a user without any rights", open: false, user: NOBODY, skip: notAsRoot },
];

for (const { title, open, user, skip } of MACHINES) {
  test(title, { skip }, async (t) => {
    const lookAlike = createLookAlike({ keys: { openai: [FAKE_KEY] } });
    const origin = await lookAlike.listen();
    t.after(() => lookAlike.close());
    const settings = {
      X3SPROXY_ORIGIN_OPENAI: origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    };
    const checkout = await copyCheckout(t, {
      ...{ name: "a fresh checkout", open, settings },
      ...(user !== undefined && { user }),
    });

    const banner = await startAndRead(checkout);
    await assertPrivateFiles(checkout, user?.uid ?? process.getuid?.());
    const token = await followBanner(checkout, banner);
    const newest = lookAlike.requests.at(-1);
    assert.equal(newest?.key?.value, FAKE_KEY);
    assert.ok(!newest.rawHeaders.join("\n").includes(token));
    await makeFirstUser(banner);
    const apiKey = await readFile(join(checkout.dataDir, "admin-api-key"), "utf8");
    await stop(checkout);

    const secondBanner = await startAndRead(checkout);
    assert.doesNotMatch(secondBanner, /setup/);
    assert.equal(await readFile(join(checkout.dataDir, "admin-api-key"), "utf8"), apiKey);
    assert.match((await checkout.run("npx x3sproxy agent list")).stdout, /^my-agent +production/m);
    const again = await fetch(`${checkout.proxyUrl}/openai/v1/models`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(again.status, 200);
    assert.equal(lookAlike.requests.at(-1)?.key?.value, FAKE_KEY);
    await stop(checkout);
  });
}

/** Starts it as the README says, and gives what it tells people. */
async function startAndRead(checkout: Checkout): Promise<string> {
  const service = checkout.start("npm", "start");
  await service.wrote(/Ctrl-C stops it/);
  return service.output.stderr;
}

async function stop(checkout: Checkout): Promise<void> {
  const pid = Number(await readFile(join(checkout.dataDir, "service.pid"), "utf8"));
  process.kill(pid, "SIGTERM");
  await eventually(async () => !(await exists(join(checkout.dataDir, "service.pid"))));
  for (const url of [checkout.proxyUrl, checkout.adminUrl, checkout.metricsUrl]) {
    assert.equal(await isListening(url), false);
  }
}

async function assertPrivateFiles({ dataDir }: Checkout, uid: number | undefined): Promise<void> {
  const modeOf = async (name: string) =>
    ((await stat(join(dataDir, name))).mode & 0o777).toString(8);
  assert.equal(await modeOf(""), "700");
  for (const name of ["master.key", "admin-api-key", "postgres-password", "postgres.log"]) {
    assert.equal(await modeOf(name), "600", name);
    assert.equal((await stat(join(dataDir, name))).uid, uid, name);
  }
  if (process.platform !== "linux") return;
  const server = await stat(`/proc/${String(await postgresOf(dataDir))}`);
  if (uid === 0) assert.notEqual(server.uid, 0);
  else assert.equal(server.uid, uid);
}

/** Types the commands of the banner as they stand there; gives the agent's token. */
async function followBanner(checkout: Checkout, banner: string): Promise<string> {
  const command = (pattern: RegExp): string => {
    const found = pattern.exec(banner)?.[1];
    assert.ok(found, `no ${String(pattern)} in ${banner}`);
    return found;
  };
  const set = await checkout.run(command(/^ +(npx x3sproxy secret set \S+)/m), `${FAKE_KEY}\n`);
  assert.equal(set.status, 0, set.stderr);
  assert.match(set.stdout, /^Saved the key sk-…4444 for openai/);
  const deployed = await checkout.run(command(/^ +(npx x3sproxy agent deploy \S+)/m));
  assert.equal(deployed.status, 0, deployed.stderr);
  const token = /^export X3SPROXY_TOKEN='(x3sproxy_[A-Za-z0-9]{32})'$/m.exec(deployed.stdout)?.[1];
  assert.ok(token);
  // Its output is made to be pasted into the shell.
  const called = await checkout.run(`${deployed.stdout}\n${command(/^ +(curl .*)$/m)}`);
  assert.equal(called.status, 0, called.stderr);
  assert.match(called.stdout, /"id":"look-alike-large"/);
  return token;
}

async function makeFirstUser(banner: string): Promise<void> {
  const link = /^ +(http:\S+\/setup)#token=(x3ssetup_\w{32})$/m.exec(banner);
  assert.ok(link?.[1] !== undefined && link[2] !== undefined, banner);
  const page = await fetch(link[1]);
  assert.equal(page.status, 200);
  const made = await fetch(new URL("/api/v1/setup", link[1]), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      token: link[2],
      email: "first@example.com",
      password: "a FAKE password of a newcomer",
    }),
  });
  assert.equal(made.status, 201, await made.text());
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
