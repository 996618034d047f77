// x3sproxy register: a registration token in, a file with the agent's token out.
import assert from "node:assert/strict";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { actorIn } from "../support/actor.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { runCli } from "./fixture.ts";

async function open(t: TestContext) {
  const plane = await openDataPlane(t);
  await plane.deploy("coder", { providers: ["openai"] });
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-register-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "token");
  const make = async () =>
    (await plane.registrations.create(actorIn(plane.workspaceId), "coder", 3_600_000)).token;
  const register = (args: string[], o: { token?: string; input?: string; url?: string } = {}) =>
    runCli(["register", ...args], {
      environment: {
        X3SPROXY_PUBLIC_URL: o.url ?? plane.url,
        ...(o.token !== undefined && { X3SPROXY_REGISTRATION_TOKEN: o.token }),
      },
      ...(o.input !== undefined && { input: o.input }),
    });
  const works = async () => {
    const token = (await readFile(file, "utf8")).trim();
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${plane.url}/_x3sproxy/token`, { headers })).status === 200;
  };
  return { plane, folder, file, make, register, works };
}

test("the file is its owner's alone, holds the token and nothing else, and no output does", async (t) => {
  const { plane, folder, file, make, register, works } = await open(t);
  const registration = await make();
  const { status, stdout, stderr } = await register(["--token-file", file], {
    token: registration,
  });
  assert.equal(status, 0, stderr);
  const text = await readFile(file, "utf8");
  assert.match(text, /^x3sproxy_[A-Za-z0-9]{32}\n$/);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(folder), ["token"]);
  assert.ok(await works());
  assert.equal(stdout, "");
  assert.match(stderr, /Agent coder \(production\), deployment 2/);
  assert.ok(stderr.includes(`${plane.config.publicUrl}/openai`));
  for (const secret of [registration, text.trim()]) assert.equal(stderr.includes(secret), false);
});

test("the token comes on standard input, too, and --json tells all but the new one", async (t) => {
  const { plane, file, make, register, works } = await open(t);
  const args = ["--token-file", file, "--url", plane.url, "--json"];
  const { status, stdout, stderr } = await register(args, {
    input: `${await make()}\n`,
    url: "http://127.0.0.1:9",
  });
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    agent: "coder",
    environment: "production",
    deployment: 2,
    expiresAt: null,
    baseUrls: { openai: `${plane.config.publicUrl}/openai` },
    tokenFile: file,
  });
  assert.ok(await works());
});

test("what is there stays, unless it is to be replaced", async (t) => {
  const { file, make, register, works } = await open(t);
  const registration = await make();
  await writeFile(file, "mine", { mode: 0o644 });
  const refused = await register(["--token-file", file], { token: registration });
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /is there already/);
  assert.equal(await readFile(file, "utf8"), "mine");
  const replaced = await register(["--token-file", file, "--replace"], { token: registration });
  assert.equal(replaced.status, 0, "the registration was not used up");
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.ok(await works());
});

test("where it can't write it does not trade", async (t) => {
  const { folder, make, register, file, works } = await open(t);
  const registration = await make();
  const target = join(folder, "target");
  await writeFile(target, "mine");
  await symlink(target, join(folder, "link"));
  await symlink(join(folder, "nowhere"), join(folder, "dangling"));
  await mkdir(join(folder, "folder"));
  const closed = join(folder, "closed");
  await mkdir(closed, { mode: 0o500 });
  const before = (await readdir(folder)).sort();
  const paths = ["link", "dangling", "folder", "no-such-folder/token"];
  if (process.getuid?.() !== 0) paths.push("closed/token");
  for (const path of paths) {
    for (const more of [[], ["--replace"]]) {
      const args = ["--token-file", join(folder, path), ...more];
      const { status, stderr } = await register(args, { token: registration });
      assert.equal(status, 1, path);
      assert.match(stderr, /symbolic link|no plain file|can't be written/, path);
    }
  }
  await chmod(closed, 0o700);
  assert.deepEqual((await readdir(folder)).sort(), before);
  assert.equal(await readFile(target, "utf8"), "mine");
  assert.ok((await lstat(join(folder, "link"))).isSymbolicLink());
  assert.equal((await register(["--token-file", file], { token: registration })).status, 0);
  assert.ok(await works());
});

test("what is refused leaves no file, and says what to do", async (t) => {
  const { folder, file, register } = await open(t);
  const token = `x3sreg_FAKE${"A".repeat(28)}`;
  const cases: [o: Parameters<typeof register>[1], message: RegExp][] = [
    [{ token }, /registration token is not valid.*operator/],
    [{ input: "" }, /no registration token/],
    [{ input: "two words" }, /no registration token/],
    [{ token, url: "http://127.0.0.1:9" }, /no answer from/],
  ];
  for (const [o, message] of cases) {
    const { status, stdout, stderr } = await register(["--token-file", file], o);
    assert.equal(status, 1);
    assert.match(stderr, message);
    assert.equal(stderr.includes(token), false);
    assert.equal(stdout, "");
  }
  const asJson = await register(["--token-file", file, "--json"], { token });
  assert.match(asJson.stdout, /"code": "registration_invalid"/);
  assert.deepEqual(await readdir(folder), []);
});

test("a token on the command line is wrong usage, and is not repeated", async (t) => {
  const { file, register } = await open(t);
  const token = `x3sreg_FAKE${"A".repeat(28)}`;
  for (const args of [[token], ["--token", token], [`--token=${token}`]]) {
    const { status, stderr } = await register(["--token-file", file, ...args]);
    assert.equal(status, 2);
    assert.equal(stderr.includes(token), false);
  }
  assert.equal((await register([], { token })).status, 2, "without a file");
});

test("the credential follows no redirect", async (t) => {
  const { file, register, plane, make } = await open(t);
  const server = createServer((socket) => {
    socket
      .on("error", () => undefined)
      .once("data", () => {
        socket.end(
          `HTTP/1.1 307 Temporary Redirect\r\nlocation: ${plane.url}/_x3sproxy/register\r\ncontent-length: 0\r\n\r\n`,
        );
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { status, stderr } = await register(["--token-file", file], { token: await make(), url });
  assert.equal(status, 1);
  assert.match(stderr, /answered 307/);
});
