import assert from "node:assert/strict";
import { get, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { it } from "node:test";
import { leafData } from "../../src/audit/leaf.ts";
import { leafHash, provesConsistency, provesInclusion } from "../../src/audit/merkle.ts";
import { openCheckpoint } from "../../src/audit/note.ts";
import { readLine } from "../../src/audit/export-line-reading.ts";
import { verify, writeEvents } from "../audit/sealed-log.ts";
import { eventually } from "../support/eventually.ts";
import { openAdmin } from "./fixture.ts";

type Admin = Awaited<ReturnType<typeof openAdmin>>;

async function fill({ owner, workspaceId, sequencer }: Admin, count: number): Promise<void> {
  await owner.begin((sql) => writeEvents(sql, workspaceId, count));
  await sequencer.run();
}

it("an export verifies, is recorded with its filters' names, and has a name of its own", async (t) => {
  const admin = await openAdmin(t);
  await fill(admin, 5);
  const answer = await admin.call("GET", "/api/v1/audit/export?action=secret.set&actor=%3Dcmd()");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/jsonl; charset=utf-8$/);
  assert.match(
    answer.headers.get("content-disposition") ?? "",
    /^attachment; filename="x3sproxy-audit-\d{8}T\d{6}Z\.jsonl"$/,
  );
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.partialDeepStrictEqual(verify(Buffer.from(answer.text)), {
    ...{ verified: true, events: 1, filters: { action: "secret.set", actor: "=cmd()" } },
  });
  const { body } = await admin.call("GET", "/api/v1/audit?action=audit.export");
  assert.partialDeepStrictEqual(body["events"], [
    {
      ...{ actor: { name: "bootstrap" }, result: "done", index: 6 },
      ...{ detail: '{"filters":"action,actor","format":"jsonl"}', target: { kind: "audit" } },
    },
  ]);
});

it("CSV is what RFC 4180 says, and no formula", async (t) => {
  const admin = await openAdmin(t);
  await fill(admin, 4);
  const { text, headers } = await admin.call("GET", "/api/v1/audit/export?format=csv");
  assert.match(headers.get("content-type") ?? "", /^text\/csv/);
  assert.match(headers.get("content-disposition") ?? "", /\.csv"$/);
  const rows = text.split("\r\n");
  assert.equal(rows.pop(), "");
  assert.equal(rows.length, 1 + 1 + 4 + 1);
  assert.match(rows[0] ?? "", /^index,state,id,at,actor_kind,actor_id,actor_name,address,/);
  assert.match(rows[2] ?? "", /^1,event,\d+,[^,]+Z,user,,'=cmd\(\),,session,secret\.set,secret,/);
  assert.match(rows[2] ?? "", /,"openai\/é0 ""=1\+1""",/);
  assert.match(rows[2] ?? "", /,"\{""i"":""-1 → 0"",""provider"":""openai"",""version"":0\}",/);
});

it("an event is proved by itself", async (t) => {
  const admin = await openAdmin(t);
  await fill(admin, 300);
  const { body } = await admin.call("GET", "/api/v1/audit?limit=200&action=agent.deploy");
  const events = body["events"] as { id: string; index: number }[];
  for (const { id, index } of [events[0], events[77]].filter((each) => each !== undefined)) {
    const answer = await admin.call("GET", `/api/v1/audit/${id}/proof`);
    const { event, checkpoint, verifierKey, size, ...rest } = answer.body;
    assert.equal(rest["index"], index);
    const { root, size: signed } = openCheckpoint(String(checkpoint), String(verifierKey));
    assert.deepEqual([size, signed], [301, 301]);
    const line = readLine(JSON.stringify(event));
    assert.ok(line.type === "event" && line.id === id);
    const data = leafData(
      { ...line.event, id, workspaceId: admin.workspaceId },
      { actor: line.actor.commitment, target: line.target.commitment },
    );
    const proof = (line.proof ?? []).map((each) => Buffer.from(each, "base64"));
    assert.ok(provesInclusion({ index, size: 301, leaf: leafHash(data), proof, root }));
  }
});

it("an event that isn't sealed yet, or isn't there, has no proof", async (t) => {
  const admin = await openAdmin(t);
  await admin.owner.begin((sql) => writeEvents(sql, admin.workspaceId, 1));
  const { body } = await admin.call("GET", "/api/v1/audit");
  const [event] = body["events"] as { id: string; index: number | null }[];
  assert.equal(event?.index, null);
  const early = await admin.call("GET", `/api/v1/audit/${event.id}/proof`);
  assert.deepEqual([early.status, early.body["code"]], [409, "event_not_sealed"]);
  for (const id of ["999999", "x", "0"]) {
    const none = await admin.call("GET", `/api/v1/audit/${id}/proof`);
    assert.deepEqual([none.status, none.body["code"]], [404, "event_not_found"]);
  }
  const stranger = await admin.addKey("auditor", await admin.addWorkspace("elsewhere"));
  await admin.sequencer.run();
  const foreign = await admin.call("GET", `/api/v1/audit/${event.id}/proof`, undefined, stranger);
  assert.equal(foreign.status, 404);
  assert.equal((await admin.call("GET", `/api/v1/audit/${event.id}/proof`)).status, 200);
});

it("the checkpoint says what waits, and that the log begins with an older one", async (t) => {
  const admin = await openAdmin(t);
  const nothing = await admin.call("GET", "/api/v1/audit/checkpoint");
  assert.partialDeepStrictEqual(nothing.body, { checkpoint: null, size: 0, consistency: null });
  await fill(admin, 3);
  const old = await admin.call("GET", "/api/v1/audit/checkpoint");
  await fill(admin, 290);
  await admin.owner.begin((sql) => writeEvents(sql, admin.workspaceId, 2));
  const { body } = await admin.call("GET", "/api/v1/audit/checkpoint?from=4");
  assert.partialDeepStrictEqual(body, { size: 294, waiting: 2, consistency: { from: 4 } });
  const key = String(body["verifierKey"]);
  const { proof } = body["consistency"] as { proof: string[] };
  assert.ok(
    provesConsistency({
      ...{ oldSize: 4, oldRoot: openCheckpoint(String(old.body["checkpoint"]), key).root },
      ...{ size: 294, root: openCheckpoint(String(body["checkpoint"]), key).root },
      proof: proof.map((each) => Buffer.from(each, "base64")),
    }),
  );
  const later = await admin.call("GET", "/api/v1/audit/checkpoint?from=295");
  assert.deepEqual([later.status, later.body["code"]], [422, "size_unknown"]);
  assert.equal((await admin.call("GET", "/api/v1/audit/checkpoint?from=0")).status, 422);
});

it("where the event of the export can't be written there is no export", async (t) => {
  const admin = await openAdmin(t);
  await fill(admin, 2);
  await admin.owner`
    alter table x3sproxy.audit_events add constraint never check (action <> 'audit.export') not valid`;
  const answer = await admin.call("GET", "/api/v1/audit/export");
  assert.equal(answer.status, 500);
  assert.match(answer.headers.get("content-type") ?? "", /problem\+json/);
});

async function openExport({ url, apiKey }: Admin): Promise<IncomingMessage> {
  const request = get(`${url}/api/v1/audit/export`, {
    agent: false,
    headers: { authorization: `Bearer ${apiKey}` },
  });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
}

it("a client that stops reading holds its export back; what can't go on breaks off and doesn't look whole", async (t) => {
  const admin = await openAdmin(t);
  await admin.owner`
    insert into x3sproxy.audit_events (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
    select ${admin.workspaceId}, 'service', 'service', 'none', 'service.start', 'service', n::text, repeat('x', 300), 'done' from generate_series(1, 20000) n`;
  await admin.sequencer.run();
  const stopped = await openExport(admin);
  stopped.pause();
  const others = await Promise.all([1, 2].map(() => openExport(admin)));
  const whole = await openExport(admin);
  const fifth = await openExport(admin);
  assert.equal(fifth.statusCode, 503, "four at a time");
  fifth.resume();
  for (const other of others) other.destroy(); // which ends it
  let bytes = 0;
  for await (const chunk of whole) bytes += (chunk as Buffer).length;
  assert.ok(bytes > 14_000_000, `more than sockets hold: ${bytes}`);
  await eventually(async () => {
    const again = await openExport(admin);
    again.destroy();
    return again.statusCode === 200;
  });
  // The one that stopped still has most of it to read from the database.
  await admin.owner`alter table x3sproxy.audit_leaves rename to audit_leaves_gone`;
  const pieces: Buffer[] = [];
  await assert.rejects(
    async () => {
      for await (const chunk of stopped) pieces.push(chunk as Buffer);
    },
    { code: "ECONNRESET" },
  );
  const { findings, events } = verify(Buffer.concat(pieces));
  assert.match(findings[0]?.what ?? "", /cut off/);
  assert.ok(events > 0 && events < 20_000, String(events));
  await admin.owner`alter table x3sproxy.audit_leaves_gone rename to audit_leaves`;
  // And one that is open doesn't keep the service from ending.
  (await openExport(admin)).on("error", () => undefined).pause();
});
