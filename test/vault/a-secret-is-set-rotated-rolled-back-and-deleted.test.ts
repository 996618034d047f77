import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";
import { openSecrets } from "./database-fixture.ts";
import { sent } from "./fixture.ts";
import { actorIn } from "../support/actor.ts";

const FIRST = "sk-ant-api03-FAKE-the-first-key-aaaa";
const SECOND = "sk-ant-api03-FAKE-the-second-key-bbbb";
const THIRD = "sk-ant-api03-FAKE-the-third-key-cccc";
const anthropic = { provider: "anthropic", environment: "production" };

test("each save makes a new active version, and only the mask comes back", async (t) => {
  const { secrets, workspaceId, vault, owner, holdFromDatabase } = await openSecrets(t);
  const before = Date.now() - 60_000;
  const first = await secrets.set(actorIn(workspaceId), {
    ...anthropic,
    label: "ours",
    value: FIRST,
  });
  assert.deepEqual(
    { ...first, id: "", createdAt: "", updatedAt: "" },
    {
      id: "",
      ...anthropic,
      label: "ours",
      origin: "https://api.anthropic.com",
      version: 1,
      masked: "sk-…aaaa",
      candidate: null,
      createdAt: "",
      updatedAt: "",
    },
  );
  assert.ok(Date.parse(first.createdAt) > before);
  assert.equal(first.updatedAt, first.createdAt);
  assert.equal(sent(vault, await holdFromDatabase(first.id)), FIRST);

  const second = await secrets.set(actorIn(workspaceId), { ...anthropic, value: SECOND });
  assert.equal(second.id, first.id);
  assert.equal(second.version, 2);
  assert.equal(second.masked, "sk-…bbbb");
  assert.equal(second.label, "ours", "the label stays when none is given");
  assert.equal(second.createdAt, first.createdAt);
  assert.ok(second.updatedAt >= first.updatedAt);
  assert.equal(sent(vault, await holdFromDatabase(first.id)), SECOND);
  assert.deepEqual(await secrets.list(workspaceId), [second]);

  const renamed = await secrets.set(actorIn(workspaceId), {
    ...anthropic,
    label: "",
    value: THIRD,
  });
  assert.equal(renamed.label, "");
  assert.equal(sent(vault, await holdFromDatabase(first.id)), THIRD);
  const rows = await owner`select t::text as row, ciphertext from x3sproxy.secret_versions t`;
  assert.equal(rows.length, 3, "all versions are kept");
  for (const { row, ciphertext } of rows as unknown as { row: string; ciphertext: Buffer }[]) {
    for (const key of [FIRST, SECOND, THIRD]) {
      assert.ok(!row.includes(key) && !row.includes(Buffer.from(key).toString("hex")), "sealed");
      assert.ok(!ciphertext.includes(key), "sealed");
    }
  }
  const versions = await secrets.versions(workspaceId, first.id);
  assert.deepEqual(versions.at(-1)?.createdAt, first.createdAt);
  assert.deepEqual(
    versions.map((version) => ({ ...version, createdAt: "" })),
    [
      {
        version: 3,
        active: true,
        candidate: false,
        masked: "sk-…cccc",
        origin: first.origin,
        createdAt: "",
      },
      {
        version: 2,
        active: false,
        candidate: false,
        masked: "sk-…bbbb",
        origin: first.origin,
        createdAt: "",
      },
      {
        version: 1,
        active: false,
        candidate: false,
        masked: "sk-…aaaa",
        origin: first.origin,
        createdAt: "",
      },
    ],
  );
});

test("rolling back makes an earlier version active, and a later save takes a new number", async (t) => {
  const { secrets, workspaceId, vault, holdFromDatabase } = await openSecrets(t);
  const { id } = await secrets.set(actorIn(workspaceId), { ...anthropic, value: FIRST });
  await assert.rejects(secrets.rollback(actorIn(workspaceId), id), {
    status: 409,
    code: "no_earlier_version",
  });
  await secrets.set(actorIn(workspaceId), { ...anthropic, value: SECOND });
  await secrets.set(actorIn(workspaceId), { ...anthropic, value: THIRD });

  assert.equal((await secrets.rollback(actorIn(workspaceId), id)).version, 2);
  assert.equal(sent(vault, await holdFromDatabase(id)), SECOND);
  assert.equal((await secrets.rollback(actorIn(workspaceId), id)).version, 1);
  await assert.rejects(secrets.rollback(actorIn(workspaceId), id), { code: "no_earlier_version" });
  assert.equal((await secrets.rollback(actorIn(workspaceId), id, 3)).version, 3);
  assert.equal((await secrets.rollback(actorIn(workspaceId), id, 1)).masked, "sk-…aaaa");
  for (const version of [0, 4, -1, 1.5, Number.NaN, 2 ** 40]) {
    await assert.rejects(secrets.rollback(actorIn(workspaceId), id, version), {
      status: 404,
      code: "version_not_found",
    });
  }
  assert.equal(
    (await secrets.set(actorIn(workspaceId), { ...anthropic, value: SECOND })).version,
    4,
  );
});

test("deleting takes every version along; the next save is another secret", async (t) => {
  const { secrets, workspaceId, owner } = await openSecrets(t);
  const { id } = await secrets.set(actorIn(workspaceId), { ...anthropic, value: FIRST });
  const last = await secrets.set(actorIn(workspaceId), { ...anthropic, value: SECOND });
  assert.deepEqual(await secrets.delete(actorIn(workspaceId), id), last);
  assert.deepEqual(await secrets.list(workspaceId), []);
  assert.deepEqual([...(await owner`select * from x3sproxy.secret_versions`)], []);
  const next = await secrets.set(actorIn(workspaceId), { ...anthropic, value: THIRD });
  assert.notEqual(next.id, id);
  assert.equal(next.version, 1);
});

test("one secret for each provider and environment, listed in order", async (t) => {
  const { secrets, workspaceId } = await openSecrets(t);
  await secrets.set(actorIn(workspaceId), {
    provider: "openai",
    environment: "production",
    value: "sk-proj-FAKE-production-1111",
  });
  await secrets.set(actorIn(workspaceId), { ...anthropic, environment: "staging", value: SECOND });
  await secrets.set(actorIn(workspaceId), { ...anthropic, value: FIRST });
  const rows = await secrets.list(workspaceId);
  assert.deepEqual(
    rows.map(({ provider, environment, version, masked }) => [
      provider,
      environment,
      version,
      masked,
    ]),
    [
      ["anthropic", "production", 1, "sk-…aaaa"],
      ["anthropic", "staging", 1, "sk-…bbbb"],
      ["openai", "production", 1, "sk-…1111"],
    ],
  );
});

test("a workspace reaches no secret of another", async (t) => {
  const { secrets, workspaceId, addWorkspace } = await openSecrets(t);
  const other = await addWorkspace("second");
  const { id } = await secrets.set(actorIn(workspaceId), { ...anthropic, value: FIRST });
  const theirs = await secrets.set(actorIn(other), { ...anthropic, value: SECOND });
  assert.notEqual(theirs.id, id);
  assert.equal(theirs.version, 1);
  for (const strange of [id, randomUUID(), "no-uuid", "' or true --"]) {
    for (const attempt of [
      () => secrets.versions(other, strange),
      () => secrets.rollback(actorIn(other), strange, 1),
      () => secrets.delete(actorIn(other), strange),
    ]) {
      await assert.rejects(attempt, { status: 404, code: "secret_not_found" });
    }
  }
  assert.equal((await secrets.list(workspaceId)).length, 1);
});

test("saves at the same time get a version each, and roll-backs at the same time go one step each", async (t) => {
  const { secrets, workspaceId, vault, holdFromDatabase } = await openSecrets(t);
  const steps = Array.from({ length: 12 }, (_, i) => i + 1);
  const views = await Promise.all(
    steps.map((step) =>
      secrets.set(actorIn(workspaceId), {
        ...anthropic,
        value: `sk-ant-api03-FAKE-at-once-${1000 + step}`,
      }),
    ),
  );
  assert.equal(new Set(views.map(({ id }) => id)).size, 1);
  assert.deepEqual(new Set(views.map(({ version }) => version)), new Set(steps));
  views.forEach(({ masked }, i) => {
    assert.equal(masked, `sk-…${1001 + i}`, "each answer is of its own save");
  });
  const [last] = await secrets.list(workspaceId);
  assert.ok(last !== undefined);
  const winner = 1001 + views.findIndex(({ version }) => version === 12);
  assert.equal(sent(vault, await holdFromDatabase(last.id)), `sk-ant-api03-FAKE-at-once-${winner}`);

  const back = await Promise.all(
    steps.slice(1).map(() => secrets.rollback(actorIn(workspaceId), last.id)),
  );
  assert.deepEqual(new Set(back.map(({ version }) => version)), new Set(steps.slice(0, -1)));
});

test("saving, rolling back and deleting at the same time leaves whole secrets", async (t) => {
  const { secrets, workspaceId, vault, holdFromDatabase } = await openSecrets(t);
  const { id } = await secrets.set(actorIn(workspaceId), { ...anthropic, value: FIRST });
  await secrets.set(actorIn(workspaceId), { ...anthropic, value: FIRST });
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, (_, i) => [
      secrets.set(actorIn(workspaceId), { ...anthropic, value: SECOND }),
      secrets.rollback(actorIn(workspaceId), id, 1),
      ...(i === 4 ? [secrets.delete(actorIn(workspaceId), id)] : []),
    ]).flat(),
  );
  for (const result of results) {
    if (result.status === "rejected") assert.match(String(result.reason), /no such secret/);
  }
  const [left, ...more] = await secrets.list(workspaceId);
  assert.equal(more.length, 0);
  if (left !== undefined) {
    assert.ok([FIRST, SECOND].includes(sent(vault, await holdFromDatabase(left.id)) ?? ""));
  }
});
