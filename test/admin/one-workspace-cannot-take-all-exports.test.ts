import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import test from "node:test";
import { writeEvents } from "../audit/sealed-log.ts";
import { openAdmin } from "./fixture.ts";

test("exports that nobody reads, of one workspace, leave another its own", async (t) => {
  const admin = await openAdmin(t);
  await admin.owner`
    insert into x3sproxy.audit_events (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
    select ${admin.workspaceId}, 'service', 'service', 'none', 'service.start', 'service', n::text, repeat('x', 300), 'done' from generate_series(1, 15000) n`;
  await admin.sequencer.run();
  const other = await admin.addWorkspace("elsewhere");
  await admin.owner.begin((sql) => writeEvents(sql, other, 2));
  const key = await admin.addKey("auditor", other);
  const open = async (apiKey: string): Promise<IncomingMessage> => {
    const headers = { authorization: `Bearer ${apiKey}` };
    const request = get(`${admin.url}/api/v1/audit/export`, { agent: false, headers });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.on("error", () => undefined).pause();
    return response;
  };
  const stalled = [];
  for (let i = 0; i < 4; i += 1) stalled.push(await open(admin.apiKey));
  assert.deepEqual(
    stalled.map(({ statusCode }) => statusCode),
    [200, 200, 200, 200],
  );
  const fifth = await open(admin.apiKey);
  assert.equal(fifth.statusCode, 503);
  const theirs = await open(key);
  assert.equal(theirs.statusCode, 200);
  for (const response of [...stalled, fifth, theirs]) response.destroy();
});
