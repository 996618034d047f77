import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY } from "../admin/fixture.ts";
import { openCli, runCli } from "./fixture.ts";

it("each command prints exactly one JSON document on standard output", async (t) => {
  const { run } = await openCli(t);
  const commands: [args: string[], input?: string][] = [
    [["secret", "set", "openai"], FAKE_KEY],
    [["secret", "set", "openai", "--label", "x", "--skip-test"], FAKE_KEY],
    [["secret", "list"]],
    [["secret", "rollback", "openai"]],
    [["agent", "deploy", "coder"]],
    [["agent", "list"]],
    [["agent", "suspend", "coder"]],
    [["agent", "resume", "coder"]],
    [["agent", "suspend", "--all"]],
    [["agent", "resume", "--all"]],
    [["agent", "destroy", "coder", "--yes"]],
    [["provider", "add", "acme", "--origin", "https://api.acme.example"]],
    [["provider", "list"]],
    [["provider", "remove", "acme"]],
    [["secret", "delete", "openai", "--yes"]],
    [["user", "invite", "ada@example.test", "--role", "viewer"]],
    [["user", "list"]],
  ];
  for (const [args, input] of commands) {
    const { status, stdout, stderr } = await run([...args, "--json"], input);
    assert.equal(status, 0, `${args.join(" ")}: ${stderr}`);
    assert.doesNotThrow(() => JSON.parse(stdout) as unknown, `${args.join(" ")}: ${stdout}`);
    assert.equal(stderr, "");
  }
});

it("so does a command that is refused, that fails or that was mistyped; the words go to standard error", async (t) => {
  const { environment } = await openCli(t);
  const away = { X3SPROXY_ADMIN_URL: "http://127.0.0.1:1", X3SPROXY_API_KEY: "x" };
  const cases: [string[], Record<string, string>, number, string][] = [
    [["agent", "destroy", "nobody"], environment, 1, "agent_not_found"],
    [["secret", "rollback", "openai"], environment, 1, "secret_not_found"],
    [["user", "reset", "nobody@example.test"], environment, 1, "user_not_found"],
    [["user", "invite", "no address", "--role", "viewer"], environment, 1, "invalid_request"],
    [["user", "invite", "ada@example.test", "--role", "king"], environment, 2, "usage"],
    [["secret", "list"], away, 1, "unreachable"],
    [["secret", "list"], {}, 1, "no_api_key"],
    [["secret", "list", "--colour"], environment, 2, "usage"],
    [["secret", "rollback", "openai", "--to", "zero"], environment, 2, "usage"],
  ];
  for (const [args, settings, expected, code] of cases) {
    const { status, stdout, stderr } = await runCli([...args, "--json"], { environment: settings });
    assert.equal(status, expected, stderr);
    assert.partialDeepStrictEqual(JSON.parse(stdout), { error: { code } });
    assert.notEqual(stderr, "");
  }
});

it("an API key of several lines is called that, and not a service that is away", async (t) => {
  const { environment } = await openCli(t);
  for (const key of ["x3skey_FAKEone\nx3skey_FAKEtwo", "x3skey_FAKE one", "x3skey_FAKE…"]) {
    for (const args of [
      ["secret", "list"],
      ["audit", "verify"],
    ]) {
      const settings = { ...environment, X3SPROXY_API_KEY: key };
      const { status, stdout, stderr } = await runCli([...args, "--json"], {
        environment: settings,
      });
      assert.equal(status, 1, stderr);
      assert.partialDeepStrictEqual(JSON.parse(stdout), { error: { code: "api_key_malformed" } });
      assert.doesNotMatch(stdout + stderr, /FAKE/);
    }
  }
});
