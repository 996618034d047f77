import assert from "node:assert/strict";
import test from "node:test";
import { openCli } from "./fixture.ts";

const KEY = "sk-proj-FAKEpasted4f1Zq0test";

test("a line that is pasted as a key is refused with what to do, and nothing of it is shown", async (t) => {
  const { run, json } = await openCli(t);
  const { status, stdout, stderr } = await run(
    ["secret", "set", "openai"],
    `export OPENAI_API_KEY="${KEY}"\n`,
  );
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.equal(
    stderr,
    "x3sproxy: What was pasted begins with the name of a variable (as in OPENAI_API_KEY=…) or of a header. " +
      "Give the key alone, without what stands before it and without quotation marks.\n",
  );
  assert.deepEqual(await json(["secret", "list"]), []);
});
