import assert from "node:assert/strict";
import { it } from "node:test";
import { assertHides } from "../admin/fixture.ts";
import { openCli } from "./fixture.ts";

const KEY = "FAKE-key-of-the-command-line-1111";
const NEW_KEY = "FAKE-key-of-the-command-line-2222";

it("a key that is not proved is kept, and the words say how to activate it or throw it away", async (t) => {
  const { run, json } = await openCli(t);
  const where = ["fal", "--environment", "staging"];
  const first = await json(["secret", "set", ...where], KEY);
  assert.partialDeepStrictEqual(first, { version: 1, test: { reason: "no_test" } });
  const rotate = async () => {
    const { status, stdout, stderr } = await run(["secret", "set", ...where], NEW_KEY);
    assert.deepEqual([status, stdout], [1, ""]);
    assertHides(stderr, NEW_KEY);
    return stderr;
  };
  const said = await rotate();
  assert.match(said, /No free call .* Version 1 stays active; the new key waits as version 2/);
  assert.match(said, /x3sproxy secret activate fal --environment staging$/m);
  assert.match(said, /x3sproxy secret discard fal --environment staging$/m);
  assert.match((await run(["secret", "list"])).stdout, /fal +staging +\S+ +1 \(2 waits\)/);

  const thrown = await run(["secret", "discard", ...where]);
  assert.match(thrown.stdout, /^Threw version 2 away. Version 1 is active/);
  const again = await run(["secret", "discard", ...where]);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /no candidate/);

  await rotate();
  const activated = await json(["secret", "activate", ...where, "--yes"]);
  assert.partialDeepStrictEqual(activated, { version: 3, candidate: null });
  const skipped = await run(["secret", "set", ...where, "--skip-test"], KEY);
  assert.match(skipped.stdout, /Not tested. Version 4 is active.*\n.*secret rollback fal/);
});
