import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli, runCli } from "./fixture.ts";

it("it is shown and changed, and holds an operator's deployments", async (t) => {
  const { run, json, addKey, environment } = await openCli(t);
  const newAgents = ["workspace", "new-agents"];
  assert.match((await run(newAgents)).stdout, /^New agents\nEnvironments +any\nProviders +any$/m);
  const limits = { requestsPerMinute: 60, openStreams: null, bytesPerMinute: null };
  const set = await json([
    ...newAgents,
    ...["--environment", "staging", "--environment", "qa", "--providers", "openai"],
    ...["--template", "embeddings-only", "--model", "text-*", "--requests-per-minute", "60"],
  ]);
  const given = { providers: ["openai"], models: ["text-*"], addresses: null, limits };
  assert.partialDeepStrictEqual(set, { ...given, environments: ["staging", "qa"] });
  const rules = (set as { rules: string[] }).rules;
  assert.ok(rules.includes("POST /openai/v1/embeddings"));
  assert.match((await run(newAgents)).stdout, /^Environments +staging\n +qa$/m);

  const operator = { ...environment, X3SPROXY_API_KEY: await addKey("operator") };
  const deploy = (...more: string[]) =>
    runCli(["agent", "deploy", "coder", ...more], { environment: operator });
  const refused = await deploy("--environment", "production");
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /more than this workspace gives new agents: environment\..* role admin/,
  );
  const made = await deploy();
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /^# Agent coder \(staging\)/);
  const scope = ["agent", "scope", "coder"];
  const moved = await json([...scope, "--environment", "production"]);
  assert.partialDeepStrictEqual(moved, { ...given, rules, environment: "production" });

  const off = await json([...newAgents, "--environment", "any", "--rule", "any"]);
  assert.partialDeepStrictEqual(off, { ...given, environments: null, rules: null });
  const untried = await run([...scope, "--environment", "qa", "--dry-run"]);
  assert.equal(untried.status, 2, untried.stderr);
});
