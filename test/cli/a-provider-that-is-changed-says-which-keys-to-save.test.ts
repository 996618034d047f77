import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli } from "./fixture.ts";

it("a provider that is changed says so, and which keys have to be saved again", async (t) => {
  const { run } = await openCli(t);
  const ok = async (args: string[], input?: string) => {
    const { status, stdout, stderr } = await run(args, input);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const add = ["provider", "add", "acme", "--origin", "https://api.acme.example"];
  assert.match(await ok(add), /^Added acme at .*x3sproxy secret set acme$/m);
  assert.match(await ok([...add, "--scheme", "Key"]), /^Changed acme: .*authorization: Key …$/m);
  for (const environment of ["production", "staging"]) {
    const key = "FAKE-key-of-the-test-0001";
    await ok(["secret", "set", "acme", "--environment", environment], key);
  }
  const changed = await ok([...add, "--header", "X-Acme-Key", "--scheme", ""]);
  assert.match(
    changed,
    /^Changed acme: at https:\/\/api\.acme\.example, its key in x-acme-key: …$/m,
  );
  assert.match(changed, /secret set acme --environment production$/m);
  assert.match(changed, /secret set acme --environment staging$/m);
  assert.match(await ok([...add, "--header", "x-acme-key", "--scheme", ""]), /^acme is as it was/);
});
