import assert from "node:assert/strict";
import { it } from "node:test";
import { isProxyToken } from "../../src/platform/ids.ts";
import { FAKE_KEY, PUBLIC_URL } from "../admin/fixture.ts";
import { openCli } from "./fixture.ts";

it("deploy --json gives the agent, its token, the expiry and the base URLs", async (t) => {
  const { json } = await openCli(t);
  const options = ["--providers", "openai, anthropic", "--ttl", "12h", "--environment", "staging"];
  const deployed = (await json(["agent", "deploy", "coder", ...options])) as Record<
    string,
    unknown
  >;
  assert.equal(deployed["agent"], "coder");
  assert.ok(isProxyToken(String(deployed["token"])));
  const lifeMs = Date.parse(String(deployed["expiresAt"])) - Date.now();
  assert.ok(lifeMs > 11.9 * 3_600_000 && lifeMs <= 12 * 3_600_000);
  assert.deepEqual(deployed["baseUrls"], {
    openai: `${PUBLIC_URL}/openai`,
    anthropic: `${PUBLIC_URL}/anthropic`,
  });

  const again = await json(["agent", "deploy", "coder", "--providers", "all", "--ttl", "none"]);
  assert.partialDeepStrictEqual(again, { environment: "staging", deployment: 2, expiresAt: null });
  assert.partialDeepStrictEqual(await json(["agent", "list"]), [
    { name: "coder", providers: null },
  ]);
});

it("what deploy prints is a shell script that sets the clients up", async (t) => {
  const { run } = await openCli(t);
  await run(["secret", "set", "openai"], FAKE_KEY);
  const { stdout, status } = await run(["agent", "deploy", "coder"]);
  assert.equal(status, 0);
  const token = /^export X3SPROXY_TOKEN='(x3sproxy_\w{32})'$/m.exec(stdout)?.[1] ?? "";
  assert.ok(isProxyToken(token));
  const lines = stdout.trimEnd().split("\n");
  assert.ok(lines.includes(`export OPENAI_BASE_URL='${PUBLIC_URL}/openai/v1'`), stdout);
  assert.ok(lines.includes(`export OPENAI_API_KEY='${token}'`), stdout);
  assert.ok(lines.every((line) => /^(#|export )/.test(line)));
  assert.doesNotMatch(stdout, /ANTHROPIC/, "there is no key for it");
});

it("a sensitive endpoint is allowed by name", async (t) => {
  const { run, json, call } = await openCli(t);
  const providers = (await json(["provider", "list"])) as { sensitiveEndpoints: string[] }[];
  const [first = "", second = ""] = providers.flatMap((provider) => provider.sensitiveEndpoints);
  await json(["agent", "deploy", "coder", "--allow-endpoint", first, "--allow-endpoint", second]);
  const { body } = await call("GET", "/api/v1/agents");
  assert.partialDeepStrictEqual(body, { agents: [{ allowedEndpoints: [first, second] }] });
  const { status, stderr } = await run([
    "agent",
    "deploy",
    "coder",
    "--allow-endpoint",
    "openai:x",
  ]);
  assert.equal(status, 1);
  assert.match(stderr, /sensitive endpoints/);
});

it("env prints the settings in each format, with a placeholder for the token", async (t) => {
  const { run } = await openCli(t);
  await run(["secret", "set", "openai"], FAKE_KEY);
  const { stdout } = await run(["agent", "deploy", "my_coder"]);
  const token = /x3sproxy_\w{32}/.exec(stdout)?.[0] ?? "none";
  const url = `${PUBLIC_URL}/openai/v1`;
  for (const [format, expected] of [
    [undefined, `export OPENAI_BASE_URL='${url}'`],
    ["shell", `export OPENAI_BASE_URL='${url}'`],
    ["docker", `OPENAI_BASE_URL=${url}`],
    ["compose", `  OPENAI_BASE_URL: "${url}"`],
    ["k8s", `  OPENAI_BASE_URL: "${url}"`],
  ] as const) {
    const args = [
      "agent",
      "env",
      "my_coder",
      ...(format === undefined ? [] : ["--format", format]),
    ];
    const result = await run(args);
    assert.equal(result.status, 0, result.stderr);
    assert.ok(result.stdout.split("\n").includes(expected), result.stdout);
    assert.match(result.stdout, /OPENAI_API_KEY.*<token from x3sproxy agent deploy>/);
    assert.match(result.stdout, /^# .*shown once/m);
    assert.ok(!result.stdout.includes(token));
    if (format === "k8s") assert.match(result.stdout, /^ {2}name: x3sproxy-my-coder$/m);
  }
});

it("env says so when there is no key yet, and when there is no such agent", async (t) => {
  const { run } = await openCli(t);
  await run(["agent", "deploy", "coder", "--environment", "staging"]);
  const { stdout } = await run(["agent", "env", "coder"]);
  assert.match(stdout, /# No key in staging .*secret set <provider> --environment staging/);
  assert.equal((await run(["agent", "env", "nobody"])).status, 1);
});

it("destroy needs no terminal, and fails for an agent that isn't there", async (t) => {
  const { run, json } = await openCli(t);
  await json(["agent", "deploy", "coder"]);
  const destroyed = await run(["agent", "destroy", "coder"]);
  assert.equal(destroyed.status, 0, destroyed.stderr);
  assert.match(destroyed.stdout, /no longer works/);
  assert.equal((await run(["agent", "destroy", "coder", "--yes"])).status, 1);
  assert.deepEqual(await json(["agent", "list"]), []);
});
