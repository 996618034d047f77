import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it, type TestContext } from "node:test";
import { writeEvents } from "../audit/sealed-log.ts";
import { openCli, runCli } from "./fixture.ts";

async function open(t: TestContext) {
  const cli = await openCli(t);
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-audit-"));
  t.after(() => rm(folder, { recursive: true }));
  const fill = async (count: number): Promise<void> => {
    await cli.owner.begin((sql) => writeEvents(sql, cli.workspaceId, count));
    await cli.sequencer.run();
  };
  await fill(20);
  return { ...cli, fill, folder, path: (name: string) => join(folder, name) };
}

it("an export is a private file, and verifies offline by the kept key and checkpoint", async (t) => {
  const { run, json, path, folder, fill } = await open(t);
  const checkpoint = await run(["audit", "checkpoint"]);
  assert.equal(checkpoint.status, 0);
  await writeFile(path("checkpoints"), checkpoint.stdout);
  const key = /^(x3sproxy\/audit\/\S+\+\S+\+\S+)$/m.exec(checkpoint.stderr)?.[1] ?? "";
  const { verifierKey, size } = (await json(["audit", "checkpoint"])) as Record<string, unknown>;
  assert.deepEqual([verifierKey, size], [key, 21]);
  await fill(3);
  const output = path("audit.jsonl");
  const made = await json(["audit", "export", "--output", output]);
  assert.deepEqual(made, { file: output, format: "jsonl", bytes: (await stat(output)).size });
  assert.equal((await stat(output)).mode & 0o777, 0o600);
  assert.deepEqual((await readdir(folder)).sort(), ["audit.jsonl", "checkpoints"]);

  // Nothing to ask: no service, no key for one.
  const offline = (...more: string[]) => runCli(["audit", "verify", output, ...more]);
  const plain = await offline();
  assert.equal(plain.status, 0, plain.stdout);
  assert.match(plain.stdout, /Warning: No key was given/);
  assert.match(plain.stdout, /Verified: this is the log that was signed/);
  const pinned = await offline("--key", key, "--checkpoint", path("checkpoints"), "--json");
  assert.equal(pinned.status, 0, pinned.stdout);
  assert.partialDeepStrictEqual(JSON.parse(pinned.stdout), {
    ...{ verified: true, size: 25, events: 25, checkpoints: 1, keyPinned: true, warnings: [] },
  });

  const text = await readFile(output, "utf8");
  await writeFile(output, text.replace('"result":"done"', '"result":"dome"'));
  const edited = await offline("--key", key);
  assert.equal(edited.status, 1);
  assert.match(edited.stdout, /NOT VERIFIED: 2 findings\./);
  assert.match(
    edited.stdout,
    /^leaf 0: the event isn't the one that was sealed.*\n {2}expected [0-9a-f]{64}\n {2}actual {3}[0-9a-f]{64}$/m,
  );
  const asJson = await offline("--json");
  assert.equal(asJson.status, 1);
  assert.partialDeepStrictEqual(JSON.parse(asJson.stdout), { verified: false, findingsInAll: 2 });
});

it("without a file it verifies what the service exports now", async (t) => {
  const { run, json, owner } = await open(t);
  assert.partialDeepStrictEqual(await json(["audit", "verify"]), { verified: true, events: 22 });
  await owner`update x3sproxy.audit_events set target_name = 'another' where id = 7`;
  const { status, stdout } = await run(["audit", "verify"]);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /^leaf 6: the event's target isn't the one that was sealed: it was edited$/m,
  );
});

it("filters and CSV go to standard output", async (t) => {
  const { run } = await open(t);
  const csv = await run(["audit", "export", "--format", "csv", "--action", "agent.deploy"]);
  assert.equal(csv.status, 0, csv.stderr);
  assert.equal(csv.stdout.split("\r\n").length, 1 + 10 + 1);
  const wrong = await run(["audit", "export", "--from", "yesterday"]);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /from: /);
  assert.equal(wrong.stdout, "");
});

it("an export that breaks off leaves no file", async (t) => {
  const { path, folder } = await open(t);
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/jsonl" });
    response.write('{"type":"x3sproxy-audit-export"', () => response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = { X3SPROXY_ADMIN_URL: url, X3SPROXY_API_KEY: "x3skey_FAKE" };
  const { status, stderr } = await runCli(["audit", "export", "--output", path("it")], {
    environment,
  });
  assert.equal(status, 1);
  assert.match(stderr, /broke off before its end/);
  assert.deepEqual(await readdir(folder), []);
});

it("what can't be verified is said in words", async (t) => {
  const { path, run } = await open(t);
  await writeFile(path("csv"), "index,state\r\n0,event\r\n");
  await writeFile(path("binary"), Buffer.alloc(3_000_000, 0xff));
  await writeFile(path("nothing"), "");
  const export_ = await run(["audit", "export"]);
  await writeFile(path("audit.jsonl"), export_.stdout);
  const cases: [string[], number, RegExp][] = [
    [["csv"], 1, /This is no export of x3sproxy's audit/],
    [["binary"], 1, /This is no export/],
    [["nothing"], 1, /This is no export.*empty/],
    [["absent"], 1, /absent can't be read \(ENOENT\)/],
    [["audit.jsonl", "--checkpoint", path("csv")], 1, /There is no checkpoint in/],
    [["audit.jsonl", "--checkpoint", path("absent")], 1, /absent can't be read/],
    [["audit.jsonl", "--key", "x"], 2, /Give a verifier key/],
  ];
  for (const [[file = "", ...more], status, words] of cases) {
    const ended = await runCli(["audit", "verify", path(file), ...more, "--json"]);
    assert.equal(ended.status, status, ended.stderr);
    assert.match(ended.stderr, words);
    assert.ok("error" in (JSON.parse(ended.stdout) as object));
  }
});
