import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY } from "./fixture.ts";
import { assertRefused, openPeople } from "./people.ts";

const NO_LIMITS = {
  requestsPerMinute: null,
  openStreams: null,
  bytesPerMinute: null,
  openWebsockets: null,
};

it("its name and rules are seen by all and changed by owners, one by one", async (t) => {
  const { first, join, workspaceId, events, addWorkspace } = await openPeople(t);
  const { browser: viewer } = await join("viewer@example.test", "viewer");
  await first.call("PUT", "/secrets", {
    provider: "openai",
    environment: "staging",
    value: FAKE_KEY,
  });
  await first.call("POST", "/agents/coder/deployments", { environment: "production" });
  assert.deepEqual((await viewer.call("GET", "/workspace")).body["workspace"], {
    id: workspaceId,
    name: "default",
    secondFactorRequired: false,
    rotationDays: 90,
    idleDays: 14,
    unusedDays: null,
    auditRetentionDays: 365,
    auditRetentionFrom: null,
    agentsSuspendedAt: null,
    limits: NO_LIMITS,
    environments: ["production", "staging"],
  });
  const change = (body: object) => first.call("PATCH", "/workspace", body);
  assert.equal((await change({ name: "acme" })).status, 200);
  const changed = await change({ rotationDays: 30, idleDays: 7 });
  assert.partialDeepStrictEqual(changed.body["workspace"], {
    name: "acme",
    rotationDays: 30,
    idleDays: 7,
    secondFactorRequired: false,
  });
  assert.equal((await events("workspace.change")).length, 2);
  await addWorkspace("elsewhere");
  assertRefused(await change({ name: "elsewhere" }), 409, "name_taken");
  for (const body of [
    { name: "Not A Name" },
    { rotationDays: 0 },
    { idleDays: 1.5 },
    { id: "x" },
  ]) {
    assertRefused(await change(body), 422, "invalid_request");
  }
});

it("its limits are changed by owners, one by one, and each change is in the audit", async (t) => {
  const { first, join, events } = await openPeople(t);
  const { browser: viewer } = await join("viewer@example.test", "viewer");
  const { browser: admin } = await join("admin@example.test", "admin");
  const change = (limits: object) => first.call("PATCH", "/workspace", { limits });
  const limitsNow = async (): Promise<unknown> => {
    const { workspace } = (await viewer.call("GET", "/workspace")).body as {
      workspace: { limits: unknown };
    };
    return workspace.limits;
  };
  const all = {
    requestsPerMinute: 600,
    openStreams: 50,
    bytesPerMinute: 9_000_000_000_000,
    openWebsockets: 5,
  };
  const set = await change(all);
  assert.equal(set.status, 200);
  assert.partialDeepStrictEqual(set.body["workspace"], { limits: all, rotationDays: 90 });
  await change({ openStreams: null });
  await first.call("PATCH", "/workspace", { idleDays: 7 });
  assert.deepEqual(await limitsNow(), { ...all, openStreams: null });
  await change({ ...NO_LIMITS });
  assert.deepEqual(await limitsNow(), NO_LIMITS);

  assertRefused(await admin.call("PATCH", "/workspace", { limits: all }), 403, "role_too_low");
  for (const limits of [
    { requestsPerMinute: 0 },
    { openStreams: -1 },
    { bytesPerMinute: 1.5 },
    { openWebsockets: "5" },
    { requestsPerHour: 5 },
    { requestsPerMinute: 3_000_000_000 },
  ]) {
    assertRefused(await change(limits), 422, "invalid_request");
  }
  assert.deepEqual(await limitsNow(), NO_LIMITS);
  const recorded = await events("workspace.change");
  assert.equal(recorded.length, 4);
  const told = recorded.map(({ detail }) => JSON.parse(String(detail)) as unknown);
  assert.deepEqual(told[1], { "limits.openStreams": `${all.openStreams} → no limit` });
  assert.deepEqual(told[2], { idleDays: "14 → 7" });
  for (const at of [0, 3]) assert.equal(Object.keys(told[at] as object).length, at === 0 ? 4 : 3);
});

it("how long the audit is kept is changed by owners; a shorter time counts a week later", async (t) => {
  const { first, join, events } = await openPeople(t);
  const { browser: admin } = await join("admin@example.test", "admin");
  const change = (auditRetentionDays: unknown) =>
    first.call("PATCH", "/workspace", { auditRetentionDays });
  const rule = async (answer: ReturnType<typeof change>): Promise<unknown> => {
    const { auditRetentionDays, auditRetentionFrom } = (await answer).body["workspace"] as {
      auditRetentionDays: unknown;
      auditRetentionFrom: string | null;
    };
    const days = (Date.parse(auditRetentionFrom ?? "") - Date.now()) / 86_400_000;
    return [auditRetentionDays, auditRetentionFrom === null ? null : Math.round(days)];
  };
  assert.deepEqual(await rule(change(2190)), [2190, null]);
  assert.deepEqual(await rule(change(30)), [30, 7]);
  assert.deepEqual(await rule(first.call("PATCH", "/workspace", { idleDays: 7 })), [30, 7]);
  assert.deepEqual(await rule(change(null)), [null, null]);
  assert.deepEqual(await rule(change(36_500)), [36_500, 7]);
  for (const wrong of [29, 36_501, 30.5, "365"]) {
    assertRefused(await change(wrong), 422, "invalid_request");
  }
  assert.equal((await admin.call("PATCH", "/workspace", { auditRetentionDays: null })).status, 403);
  const changes = (await events("workspace.change")).map((event) => event["actor_name"]);
  assert.equal(changes.filter((name) => name === "first@example.test").length, 5);
  assert.equal(changes.filter((name) => name === "x3sproxy").length, 4, "the database's own");
});
