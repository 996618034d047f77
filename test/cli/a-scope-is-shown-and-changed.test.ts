import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli } from "./fixture.ts";

it("a scope is given at deploy, shown, changed and taken off", async (t) => {
  const { run, json } = await openCli(t);
  await json([
    ...["agent", "deploy", "coder", "--providers", "openai,anthropic"],
    ...["--rule", "POST /openai/v1/Responses", "--rule", "!* /openai/v1/files/**"],
    ...["--address", "10.1.2.3/8", "--model", "gpt-*", "--requests-per-minute", "60"],
  ]);
  const scope = ["agent", "scope", "coder"];
  const shown = await json(scope);
  assert.partialDeepStrictEqual(shown, {
    name: "coder",
    deployment: 1,
    providers: ["openai", "anthropic"],
    rules: ["POST /openai/v1/responses", "!* /openai/v1/files/**"],
    addresses: ["10.0.0.0/8"],
    models: ["gpt-*"],
    scopeExpiresAt: null,
    limits: { requestsPerMinute: 60, openStreams: null, bytesPerMinute: null },
  });
  const text = (await run(scope)).stdout;
  assert.match(text, /^Rules +POST \/openai\/v1\/responses\n +!\* \/openai\/v1\/files\/\*\*$/m);
  assert.match(text, /^Sensitive endpoints +none$/m);

  const changed = (await json([
    ...scope,
    ...["--rule", "any", "--address", "any", "--model", "any", "--providers", "all"],
    ...["--scope-expires", "30d", "--bytes-per-minute", "20MB", "--requests-per-minute", "none"],
  ])) as { scopeExpiresAt: string };
  assert.partialDeepStrictEqual(changed, {
    deployment: 1,
    providers: null,
    rules: null,
    addresses: null,
    models: null,
    limits: { requestsPerMinute: null, openStreams: null, bytesPerMinute: 20_000_000 },
  });
  const daysLeft = (Date.parse(changed.scopeExpiresAt) - Date.now()) / 86_400_000;
  assert.ok(daysLeft > 29.9 && daysLeft < 30.1);
  assert.match((await run(scope)).stdout, /^Rules +any$/m);
  assert.partialDeepStrictEqual(await json([...scope, "--scope-expires", "never"]), {
    scopeExpiresAt: null,
  });
});

it("what can't be read is wrong usage; what the service refuses is a failure", async (t) => {
  const { run } = await openCli(t);
  await run(["agent", "deploy", "coder"]);
  const scope = ["agent", "scope", "coder"];
  for (const wrong of [
    ["--requests-per-minute", "0"],
    ["--requests-per-minute", "many"],
    ["--bytes-per-minute", "20XB"],
    ["--scope-expires", "soon"],
    ["--no-such-option"],
  ]) {
    assert.equal((await run([...scope, ...wrong])).status, 2, wrong.join(" "));
  }
  const refused = await run([...scope, "--rule", "POST openai/v1"]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /METHOD \/provider\/path/);
  const absent = await run(["agent", "scope", "nobody"]);
  assert.equal(absent.status, 1);
  assert.match(absent.stderr, /There is no agent nobody/);
});
