// An environment is there while an agent or a key is in it: whoever is limited to agents is not told of one that only others are in.
import assert from "node:assert/strict";
import test from "node:test";
import { FAKE_KEY } from "../admin/fixture.ts";
import { openPeople } from "../admin/people.ts";

test("whoever is limited to agents sees only environments of these and of keys", async (t) => {
  const { first, join } = await openPeople(t);
  for (const [name, environment] of [
    ["coder", "staging"],
    ["other", "hidden"],
  ]) {
    const made = await first.call("POST", `/agents/${name}/deployments`, { environment });
    assert.equal(made.status, 201, made.text);
  }
  const saved = await first.call("PUT", "/secrets", {
    ...{ provider: "openai", environment: "production", value: FAKE_KEY, skipTest: true },
  });
  assert.equal(saved.status, 201, saved.text);
  for (const [agents, expected] of [
    [["coder"], ["production", "staging"]],
    [["none"], ["production"]],
    [null, ["hidden", "production", "staging"]],
  ] as const) {
    const email = `${agents?.join("") ?? "all"}@example.test`;
    const { browser } = await join(email, "operator", agents && [...agents]);
    const { environments } = (await browser.call("GET", "/environments")).body as {
      environments: { name: string }[];
    };
    assert.deepEqual(
      environments.map(({ name }) => name),
      expected,
    );
    const { workspace } = (await browser.call("GET", "/workspace")).body as {
      workspace: { environments: string[] };
    };
    assert.deepEqual(workspace.environments, expected);
  }
});
