import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { bootstrap } from "../../src/identity/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";

const skip = process.platform !== "linux" && "looks into /proc";

it(
  "a diagnostic report of Node holds neither the master key nor the database's URL",
  { skip },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "x3sproxy-report-"));
    t.after(() => rm(folder, { recursive: true }));
    const database = await createTestDatabase();
    t.after(() => database.drop());
    const { apiKey = "" } = await bootstrap(database.ownerUrl, { makeApiKey: true });
    const service = await runService({
      ...{ database, apiKey },
      env: {
        NODE_OPTIONS: `--report-on-signal --report-directory=${folder}`,
        X3SPROXY_WORKERS: "2",
      },
    });
    t.after(() => service.remove());
    const children = await readFile(
      `/proc/${service.process.pid}/task/${service.process.pid}/children`,
      "utf8",
    );
    const pids = [Number(service.process.pid), ...children.trim().split(" ").map(Number)];
    assert.equal(pids.length, 3);
    for (const pid of pids) process.kill(pid, "SIGUSR2");
    const reports = await eventually(async () => {
      const names = await readdir(folder);
      const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
      return (
        texts.length === pids.length && texts.every((it) => it.trimEnd().endsWith("}")) && texts
      );
    });
    for (const report of reports) {
      assert.match(report, /"javascriptStack"/);
      for (const secret of [database.masterKey, new URL(database.ownerUrl).password, apiKey]) {
        assert.ok(!report.includes(secret));
      }
    }
  },
);
