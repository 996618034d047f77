import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { actorIn } from "../support/actor.ts";
import { openSecrets } from "./database-fixture.ts";
import { sent as sentWithScheme } from "./fixture.ts";

const openai = { provider: "openai", environment: "production" };
const sent = (...of: Parameters<typeof sentWithScheme>) =>
  sentWithScheme(...of)?.replace(/^Bearer /, "");
const keyOf = (n: number) => `sk-proj-FAKE-candidate-test-${String(n).padStart(6, "0")}`;

describe("a candidate", () => {
  it("is sealed, is used by no call, and is active once it is activated", async (t) => {
    const { secrets, workspaceId, vault, holdFromDatabase } = await openSecrets(t);
    const by = actorIn(workspaceId);
    const first = await secrets.propose(by, { ...openai, label: "ours", value: keyOf(1) });
    assert.deepEqual([first.version, first.secret.version, first.secret.candidate], [1, 1, null]);
    const { id } = first.secret;
    const second = await secrets.propose(by, { ...openai, label: "theirs", value: keyOf(2) });
    assert.deepEqual([second.version, second.secret.version, second.secret.candidate], [2, 1, 2]);
    assert.equal(second.secret.label, "ours", "the label comes with the key");
    assert.equal(sent(vault, await holdFromDatabase(id)), keyOf(1));
    assert.deepEqual(
      (await secrets.versions(workspaceId, id)).map(({ version, active, candidate }) => ({
        ...{ version, active, candidate },
      })),
      [
        { version: 2, active: false, candidate: true },
        { version: 1, active: true, candidate: false },
      ],
    );
    const after = await secrets.activate(by, id, 2, "theirs");
    assert.deepEqual([after.version, after.candidate, after.label], [2, null, "theirs"]);
    assert.equal(sent(vault, await holdFromDatabase(id)), keyOf(2));
    await assert.rejects(secrets.activate(by, id, 2), { status: 409, code: "candidate_gone" });
  });

  it("that is thrown away or replaced is gone, and its number never means another key", async (t) => {
    const { secrets, workspaceId, vault, holdFromDatabase, owner } = await openSecrets(t);
    const by = actorIn(workspaceId);
    const { id } = await secrets.set(by, { ...openai, value: keyOf(1) });
    const mine = await secrets.propose(by, { ...openai, value: keyOf(2) });
    const theirs = await secrets.propose(by, { ...openai, value: keyOf(3) });
    assert.deepEqual([mine.version, theirs.version], [2, 3]);
    await assert.rejects(secrets.activate(by, id, mine.version), { code: "candidate_gone" });
    await assert.rejects(secrets.discard(by, id, mine.version), { code: "candidate_gone" });
    assert.equal((await secrets.discard(by, id, theirs.version)).candidate, null);
    const next = await secrets.propose(by, { ...openai, value: keyOf(4) });
    assert.equal(next.version, 4);
    await secrets.set(by, { ...openai, value: keyOf(5) });
    assert.equal(sent(vault, await holdFromDatabase(id)), keyOf(5));
    const rows = await owner`select version from x3sproxy.secret_versions order by version`;
    assert.deepEqual(
      rows.map(({ version }) => version as unknown),
      [1, 5],
    );
    const events = await owner`
      select action from x3sproxy.audit_events where action like 'secret.%' order by id`;
    assert.deepEqual(
      events.map(({ action }) => action as unknown),
      [
        ...["secret.set", "secret.propose", "secret.discard", "secret.propose"],
        ...["secret.discard", "secret.propose", "secret.discard", "secret.set"],
      ],
    );
  });

  it("is no version to roll back to, named or not", async (t) => {
    const { secrets, workspaceId } = await openSecrets(t);
    const by = actorIn(workspaceId);
    const { id } = await secrets.set(by, { ...openai, value: keyOf(1) });
    await secrets.propose(by, { ...openai, value: keyOf(2) });
    await assert.rejects(secrets.rollback(by, id), { code: "no_earlier_version" });
    await assert.rejects(secrets.rollback(by, id, 2), { code: "version_is_candidate" });
  });

  it("is not activated for another destination than it was sealed for", async (t) => {
    const overrides = new Map<string, string>();
    const { secrets, workspaceId, owner } = await openSecrets(t, { originOverrides: overrides });
    const by = actorIn(workspaceId);
    await owner`
      insert into x3sproxy.providers (workspace_id, name, origin, header, scheme)
      values (${workspaceId}, 'own', 'https://llm.example.test', 'x-key', '')`;
    const propose = async (place: { provider: string; environment: string }) => {
      await secrets.set(by, { ...place, value: keyOf(1) });
      return (await secrets.propose(by, { ...place, value: keyOf(2) })).secret.id;
    };
    const own = await propose({ provider: "own", environment: "production" });
    const builtIn = await propose(openai);
    const outdated = { status: 409, code: "candidate_outdated" };
    await owner`update x3sproxy.providers set header = 'x-other-key'`;
    await assert.rejects(secrets.activate(by, own, 2), outdated);
    await owner`update x3sproxy.providers set header = 'x-key', scheme = 'Key'`;
    await assert.rejects(secrets.activate(by, own, 2), outdated);
    await owner`update x3sproxy.providers set scheme = '', origin = 'https://other.example.test'`;
    await assert.rejects(secrets.activate(by, own, 2), outdated);
    await owner`delete from x3sproxy.providers`;
    await assert.rejects(secrets.activate(by, own, 2), { code: "provider_unknown" });
    overrides.set("openai", "https://gateway.example.test");
    await assert.rejects(secrets.activate(by, builtIn, 2), outdated);
    overrides.clear();
    assert.equal((await secrets.activate(by, builtIn, 2)).version, 2);
  });

  it("stays apart under any order of changes by two people at once", async (t) => {
    const { secrets, workspaceId, vault, holdFromDatabase } = await openSecrets(t);
    const by = actorIn(workspaceId);
    let keys = 0;
    const step = fc.record({
      what: fc.constantFrom("set", "propose", "activate", "discard", "rollback"),
      version: fc.integer({ min: 1, max: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(step, step), { minLength: 4, maxLength: 7 }),
        async (pairs) => {
          const environment = `run-${String(++keys)}`;
          const { id } = await secrets.set(by, { ...openai, environment, value: keyOf(++keys) });
          /** Versions that somebody has made active on purpose, with what they hold. */
          const values = new Map([[1, keyOf(keys)]]);
          const chosen = new Set([1]);
          const run = async ({ what, version }: { what: string; version: number }) => {
            const value = keyOf(++keys);
            const place = { ...openai, environment, value };
            if (what === "set") {
              const after = await secrets.set(by, place);
              values.set(after.version, value);
              chosen.add(after.version);
            } else if (what === "propose") {
              const after = await secrets.propose(by, place);
              assert.ok(!values.has(after.version), "a number means one key");
              values.set(after.version, value);
            } else if (what === "activate") {
              chosen.add((await secrets.activate(by, id, version)).version);
            } else if (what === "discard") {
              await secrets.discard(by, id, version);
            } else {
              await secrets.rollback(by, id, version);
            }
          };
          for (const pair of pairs) {
            const ended = await Promise.allSettled(pair.map(run));
            for (const each of ended) {
              if (each.status === "fulfilled") continue;
              assert.match(
                String((each.reason as { code?: unknown }).code),
                /^(candidate_gone|version_is_candidate|version_not_found)$/,
                String(each.reason),
              );
            }
            const held = await holdFromDatabase(id);
            assert.ok(
              chosen.has(held.version),
              `version ${held.version} was made active by nobody`,
            );
            assert.equal(sent(vault, held), values.get(held.version));
          }
        },
      ),
      { seed: 14_17, numRuns: 12 },
    );
  });
});
