import assert from "node:assert/strict";
import { it } from "node:test";
import { assertHides, FAKE_KEY, OTHER_FAKE_KEY } from "../admin/fixture.ts";
import { openCli } from "./fixture.ts";

it("set, rotate, list, roll back, delete: nothing printed holds a value", async (t) => {
  const { run, call, log } = await openCli(t);
  const printed: string[] = [];
  const step = async (args: string[], input?: string) => {
    const result = await run(["secret", ...args], input);
    printed.push(result.stdout, result.stderr);
    assert.equal(result.status, 0, result.stderr);
    return result.stdout;
  };

  // A file that ends in a line break is what `< key.txt` gives.
  assert.match(await step(["set", "openai", "--label", "team one"], `${FAKE_KEY}\n`), /sk-…wxyz/);
  assert.match(await step(["set", "openai", "--skip-test"], OTHER_FAKE_KEY), /Version 2 is active/);
  const table = (await step(["list"])).split("\n");
  assert.match(table[0] ?? "", /^PROVIDER +ENVIRONMENT +KEY +VERSION +CHANGED +LABEL$/);
  assert.match(table[1] ?? "", /^openai +production +sk-…abcd +2 +just now +team one$/);
  assert.match(await step(["rollback", "openai"]), /Version 1 is active again: the key sk-…wxyz/);
  assert.match(await step(["rollback", "openai", "--to", "2"]), /Version 2 is active again/);
  await step(["set", "openai", "--environment", "staging"], FAKE_KEY);
  assert.match(await step(["delete", "openai", "--environment", "staging"]), /Deleted/);
  assert.partialDeepStrictEqual((await call("GET", "/api/v1/secrets")).body, {
    secrets: [{ provider: "openai", environment: "production", version: 2, label: "team one" }],
  });

  for (const key of [FAKE_KEY, OTHER_FAKE_KEY]) assertHides(printed.join("") + log.join(""), key);
});

it("a key that its provider refuses is named under the list, with what to do", async (t) => {
  const { run, owner, workspaceId } = await openCli(t);
  await run(["secret", "set", "openai"], FAKE_KEY);
  await owner`
    insert into x3sproxy.activity_versions
      (workspace_id, secret_id, version, agent, first_used_at, last_used_at, requests, refused_401, refused_since, refused_at)
    select ${workspaceId}, id, 1, 'coder', now(), now(), 120, 120, now() - interval '2 hours', now() from x3sproxy.secrets`;
  const { stdout } = await run(["secret", "list"]);
  assert.match(
    stdout,
    /\nopenai\/production refused 120 calls of 1 agent, the first 2 hours ago\. Replace the key: x3sproxy secret set openai --environment production\n$/,
  );
  const { stdout: json } = await run(["secret", "list", "--json"]);
  assert.partialDeepStrictEqual(JSON.parse(json), [{ refusals: { calls: 120, agents: 1 } }]);
});

it("a key that is clearly wrong is refused with a reason that does not hold it", async (t) => {
  const { run, call } = await openCli(t);
  for (const value of [
    "",
    `${FAKE_KEY} with words`,
    `${FAKE_KEY}\n${FAKE_KEY}`,
    "x".repeat(20_000),
  ]) {
    const { status, stdout, stderr } = await run(["secret", "set", "openai"], value);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^x3sproxy: \S/);
    assertHides(stderr, FAKE_KEY);
  }
  assert.deepEqual((await call("GET", "/api/v1/secrets")).body, {
    secrets: [],
    total: 0,
    nextCursor: null,
  });
});

it("a value on the command line is wrong usage, and is not repeated", async (t) => {
  const { run, call } = await openCli(t);
  for (const args of [
    ["secret", "set", "openai", FAKE_KEY],
    ["secret", "set", "openai", `--value=${FAKE_KEY}`],
    ["secret", "set", "openai", `--${FAKE_KEY}`],
    ["secret", "set", "openai", "--value", FAKE_KEY],
    ["secret", FAKE_KEY],
    [FAKE_KEY],
  ]) {
    const { status, stdout, stderr } = await run(args);
    assert.equal(status, 2, stderr);
    assertHides(stdout + stderr, FAKE_KEY);
  }
  assert.deepEqual((await call("GET", "/api/v1/secrets")).body, {
    secrets: [],
    total: 0,
    nextCursor: null,
  });
});
