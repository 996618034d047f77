// What a newcomer can get wrong is answered in a sentence, without a stack, and nothing is left running.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { runCli } from "../cli/fixture.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService } from "../support/service.ts";
import { endPostgres, processesIn } from "./checkout.ts";

const FREE = {
  X3SPROXY_PROXY_ADDR: "127.0.0.1:0",
  X3SPROXY_ADMIN_ADDR: "127.0.0.1:0",
  X3SPROXY_METRICS_ADDR: "127.0.0.1:0",
};

test("a database that can't be reached or doesn't let us in", async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const wrong = (part: Partial<URL>): string =>
    Object.assign(new URL(database.ownerUrl), part).href;
  for (const [url, why] of [
    [wrong({ port: "1" }), "ECONNREFUSED"],
    [wrong({ hostname: "nowhere.invalid" }), "E[A-Z_]+"],
    [wrong({ password: "FAKE-wrong-password" }), "user|password"],
    [wrong({ pathname: "/no_such_database" }), "no such database"],
  ] as const) {
    const stderr = await assertFails({
      DATABASE_URL: url,
      X3SPROXY_MASTER_KEY: database.masterKey,
    });
    assert.match(stderr, new RegExp(`^x3sproxy: DATABASE_URL: .*(${why})`));
    assert.ok(!stderr.includes(new URL(url).password));
  }
});

test("an address that is taken", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.after(() => taken.close());
  const dataDir = await makeFolder(t);
  const { port } = taken.address() as AddressInfo;
  for (const setting of Object.keys(FREE)) {
    const stderr = await assertFails({
      X3SPROXY_DATA_DIR: dataDir,
      [setting]: `127.0.0.1:${port}`,
    });
    assert.match(stderr, new RegExp(`Can't listen on 127\\.0\\.0\\.1:${port}.*${setting}`));
    assert.deepEqual(await processesIn(dataDir), []);
  }
});

test("a data folder that another service has", async (t) => {
  const service = await runService();
  t.after(() => service.remove());
  const stderr = await assertFails({ X3SPROXY_DATA_DIR: service.dataDir });
  assert.match(stderr, new RegExp(`in use by .* process id ${String(service.process.pid)}`));
  assert.equal((await fetch(`${service.metricsUrl}/readyz`)).status, 200, "and that one goes on");
});

/** Gives what it says. */
async function assertFails(environment: Record<string, string>): Promise<string> {
  const { status, stderr } = await runCli(["serve"], { environment: { ...FREE, ...environment } });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^x3sproxy: [^\n]+\n$/, "one line, no stack");
  return stderr;
}

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-start-"));
  t.after(async () => {
    await endPostgres(folder);
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}
