import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { it } from "node:test";
import postgres from "postgres";
import { newIdentity } from "../../src/backup/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { bootstrap } from "../../src/identity/index.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";

it("whoever leaves in the middle of a backup, or a database that does, ends the backup and not the service", async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const { apiKey = "" } = await bootstrap(database.ownerUrl, { makeApiKey: true });
  const service = await runService({ database, apiKey });
  t.after(() => service.remove());
  const owner = postgres(database.ownerUrl, { max: 1, onnotice: () => undefined });
  t.after(() => owner.end());
  const { recipient } = await newIdentity();
  const ask = (): Promise<{ asked: ClientRequest; response: IncomingMessage }> =>
    eventually(async () => {
      const asked = request(`${service.adminUrl}/api/v1/backups`, {
        method: "POST",
        headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
      });
      asked.on("error", () => undefined);
      asked.end(JSON.stringify({ recipients: [recipient] }));
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      response.on("error", () => undefined);
      // 503: the one before is not quite over.
      return response.statusCode === 200 && { asked, response };
    });
  const results = async () =>
    (
      await owner<{ result: string }[]>`
        select result from x3sproxy.audit_events where action = 'backup.create' order by id`
    ).map((event) => event.result);

  // Small enough that the end of it is near at any moment.
  for (let times = 1; times <= 5; times += 1) {
    const { asked } = await ask();
    asked.destroy();
    await eventually(async () => {
      const all = await results();
      return all.filter((result) => result === "begun").length === times && all.at(-1) !== "begun";
    });
    assert.equal(service.process.exitCode, null, service.output.stderr);
  }

  await owner`
    insert into x3sproxy.activity_calls
    select (select id from x3sproxy.workspaces), gen_random_uuid(), now(), 'openai', 'POST', repeat('/FAKE', 40), '192.0.2.1', 1
    from generate_series(1, 40000)`;
  const before = (await results()).length;
  const { response } = await ask();
  // Its rows are being read: the transaction of the backup is the one that has a snapshot.
  await owner`
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and backend_xmin is not null and pid <> pg_backend_pid()`;
  response.resume();
  await eventually(async () => (await results()).slice(before).join() === "begun,broken_off");
  assert.equal(service.process.exitCode, null, service.output.stderr);
  const alive = await fetch(`${service.metricsUrl}/readyz`);
  assert.equal(alive.status, 200);
});
