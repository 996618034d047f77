// After its provider's header has changed, a key is of no use until it is saved again: the lists say so, and no rollback says otherwise.
import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli } from "./fixture.ts";

it("a key that was saved for another place is listed as such, and nobody rolls back to it", async (t) => {
  const { run, json } = await openCli(t);
  const ok = async (args: string[], input?: string) => {
    const { status, stdout, stderr } = await run(args, input);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const set = () => ok(["secret", "set", "acme", "--skip-test"], "FAKE-key-of-the-test-0001");
  const misplaced = async () =>
    ((await json(["secret", "list"])) as { misplaced: unknown }[]).map((it) => it.misplaced);
  const add = ["provider", "add", "acme", "--origin", "https://api.acme.example"];
  await ok(add);
  await set();
  assert.doesNotMatch(await ok(["secret", "list"]), /Save it again/);

  await ok([...add, "--header", "x-acme-key", "--scheme", ""]);
  assert.match(
    await ok(["secret", "list"]),
    /calls get 403\. Save it again: x3sproxy secret set acme --environment production$/m,
  );
  assert.deepEqual(await misplaced(), ["provider_changed"]);

  await set();
  assert.deepEqual(await misplaced(), [null]);
  for (const which of [[], ["--to", "1"]]) {
    const { status, stderr } = await run(["secret", "rollback", "acme", ...which]);
    assert.equal(status, 1);
    assert.match(stderr, /has changed since version 1 was saved.* Version 2 stays active/);
  }

  const removed = await ok(["provider", "remove", "acme", "--yes"]);
  assert.match(
    removed,
    /Its key stays.*\n {2}x3sproxy secret delete acme --environment production$/m,
  );
  assert.match(await ok(["secret", "list"]), /acme was removed.*secret delete acme/);
  assert.deepEqual(await misplaced(), ["provider_removed"]);
});
