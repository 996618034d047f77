import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { openCli, runCli } from "./fixture.ts";

it("2 for wrong usage, with the mistake on standard error and nothing on standard output", async () => {
  for (const args of [
    [],
    ["nonsense"],
    ["secret"],
    ["secret", "set"],
    ["secret", "set", "openai", "--nonsense"],
    ["secret", "rollback", "openai", "--to", "-1"],
    ["agent", "deploy"],
    ["agent", "deploy", "coder", "--ttl", "soon"],
    ["agent", "deploy", "coder", "--providers", "a,,b"],
    ["agent", "env", "coder", "--format", "xml"],
    ["provider", "add", "acme"],
    ["user", "invite", "ada@example.test"],
    ["user", "reset"],
    ["workspace", "set"],
    ["backup", "--output", "/nowhere/it.age", "--recipient", "nonsense"],
    ["backup", "--output", "/nowhere/it.age"],
    ["restore", "/nowhere/it.age"],
  ]) {
    const { status, stdout, stderr } = await runCli(args);
    assert.equal(status, 2, args.join(" "));
    assert.equal(stdout, "");
    assert.notEqual(stderr, "");
  }
});

it("0 for help and version, on standard output", async () => {
  for (const args of [["--help"], ["secret", "set", "--help"], ["agent", "deploy", "--help"]]) {
    const { status, stdout, stderr } = await runCli(args);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.match(stdout, /\$ .*x3sproxy/, "an example");
  }
  const { status, stdout } = await runCli(["--version"]);
  assert.equal(status, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

it("1 when the service isn't there, when the key is refused or missing, each with what to do", async (t) => {
  const { environment } = await openCli(t);
  const stranger = createServer((_request, response) => response.end("<h1>hello</h1>"));
  await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  t.after(() => stranger.close());
  const elsewhere = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  for (const [changed, message] of [
    [
      { X3SPROXY_ADMIN_URL: "http://127.0.0.1:1" },
      /Is `npm start` running\?\n.*X3SPROXY_ADMIN_URL/,
    ],
    [{ X3SPROXY_API_KEY: `x3skey_${"A".repeat(32)}` }, /key was refused.*admin-api-key/],
    [{ X3SPROXY_API_KEY: "" }, /No API key.*admin-api-key/],
    [{ X3SPROXY_ADMIN_URL: elsewhere }, /not as this version of x3sproxy does/],
    [{ X3SPROXY_ADMIN_URL: "nonsense" }, /X3SPROXY_ADMIN_URL: give an http or https URL/],
  ] as const) {
    const result = await runCli(["agent", "list"], { environment: { ...environment, ...changed } });
    assert.equal(result.status, 1);
    assert.equal(result.stdout, "");
    assert.match(result.stderr, message);
    assert.doesNotMatch(result.stderr, /^\s+at /m, "no stack");
  }
});
