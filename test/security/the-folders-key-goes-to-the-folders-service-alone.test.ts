// Whoever has the service's port while it is down, whoever is named by X3SPROXY_ADMIN_URL, and whoever stands between: none of them ever
// gets the owner's key of the data folder.
import assert from "node:assert/strict";
import { chmod, lstat } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { it, type TestContext } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { runService } from "../support/service.ts";
import { runCli } from "../cli/fixture.ts";

/** Listens, and keeps all that anybody sends. Answers as the service would a good call. */
async function openThief(t: TestContext, port: number) {
  const got: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    got.push("a connection");
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      got.push(data.toString("latin1"));
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  t.after(close);
  return { got, close, port: (server.address() as AddressInfo).port };
}

it("the folder's key goes to the folder's service alone", async (t) => {
  const database = await createTestDatabase();
  const first = await runService({ database });
  const { dataDir, apiKey } = first;
  t.after(async () => {
    await first.remove();
    await database.drop();
  });
  const port = Number(new URL(first.adminUrl).port);
  const cli = (args: readonly string[], environment: Record<string, string> = {}) =>
    runCli(args, {
      environment: {
        X3SPROXY_DATA_DIR: dataDir,
        X3SPROXY_ADMIN_ADDR: `127.0.0.1:${port}`,
        ...environment,
      },
    });

  await t.test("the service gets it, also by the name of its own port", async () => {
    for (const environment of [{}, { X3SPROXY_ADMIN_URL: `http://localhost:${port}` }]) {
      const { status, stderr } = await cli(["agent", "deploy", "coder"], environment);
      assert.equal(status, 0, stderr);
    }
    const socket = await lstat(join(dataDir, "admin.sock"));
    assert.ok(socket.isSocket());
    assert.equal(socket.mode & 0o777, 0o600);
  });

  await t.test("whoever has another port of this machine gets nothing", async (t) => {
    const thief = await openThief(t, 0);
    const url = `http://127.0.0.1:${thief.port}`;
    const { status, stderr } = await cli(["agent", "list"], { X3SPROXY_ADMIN_URL: url });
    assert.equal(status, 1);
    assert.match(stderr, /is not the service of .*set X3SPROXY_API_KEY/);
    assert.deepEqual(thief.got, []);
  });

  await t.test("what it does there is this machine's in the audit", async () => {
    const answer = await fetch(`${first.adminUrl}/api/v1/audit?action=agent.deploy`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    const { events } = (await answer.json()) as { events: unknown[] };
    assert.equal(events.length, 2);
    for (const event of events) {
      assert.partialDeepStrictEqual(event, { address: "127.0.0.1" });
    }
  });

  await t.test("another machine is told nothing, and the error says what to set", async () => {
    for (const url of ["http://192.0.2.1:8788", "https://x3s.example.test"]) {
      const { status, stderr } = await cli(["agent", "list"], { X3SPROXY_ADMIN_URL: url });
      assert.equal(status, 1);
      assert.match(stderr, /No API key for .*: set X3SPROXY_API_KEY\. The key in /);
    }
  });

  await t.test("nor is it sent where others could have put a socket", async () => {
    await chmod(dataDir, 0o777);
    const { status, stderr } = await cli(["agent", "list"]);
    await chmod(dataDir, 0o700);
    assert.equal(status, 1);
    assert.match(stderr, /others may write to it: chmod 700 /);
  });

  await first.kill();
  await t.test("a thief on its port, while it is down, gets nothing", async (t) => {
    const thief = await openThief(t, port);
    for (const [args, environment] of [
      [["agent", "list"], {}],
      [["agent", "list"], { X3SPROXY_ADMIN_URL: first.adminUrl }],
      [["audit", "export"], {}],
      [["exec", "coder", "--", "true"], {}],
    ] as const) {
      const { status, stdout, stderr } = await cli(args, environment);
      assert.deepEqual({ status, stdout }, { status: 1, stdout: "" });
      assert.match(stderr, /The service of .* does not answer\. Is `npm start` running\?/);
      assert.ok(!stderr.includes(apiKey));
    }
    assert.deepEqual(thief.got, []);
    thief.close();
  });

  await t.test("what a killed service left is replaced, by workers as well", async (t) => {
    const env = { X3SPROXY_WORKERS: "2" };
    const second = await runService({ database, dataDir, apiKey, env });
    t.after(() => second.stop());
    const { status, stderr } = await cli(["agent", "list"]);
    assert.equal(status, 0, stderr);
    assert.equal(await second.stop(), 0);
    await assert.rejects(lstat(join(dataDir, "admin.sock")), { code: "ENOENT" });
  });
});
