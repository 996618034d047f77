import assert from "node:assert/strict";
import { test } from "node:test";
import { withComponents } from "../../src/platform/components.ts";
import { createLog } from "../../src/platform/log.ts";

function open() {
  const lines: { msg: string; part: string }[] = [];
  const log = createLog({
    level: "debug",
    destination: { write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) },
  });
  return { log, lines };
}

test("components stop in the reverse of the order in which they started, each by its name, whatever fails", async () => {
  const { log, lines } = open();
  const stopped: string[] = [];
  const components = await withComponents(log, async (it) => {
    for (const name of ["database", "pool", "plane"]) {
      const started = await it.start({
        name,
        start: () => name,
        stop(what) {
          stopped.push(what);
          if (what === "pool") throw new TypeError("FAKE");
        },
      });
      assert.equal(started, name);
    }
    return it;
  });
  await components.stop();
  await components.stop();
  assert.deepEqual(stopped, ["plane", "pool", "database"]);
  await log.flush();
  assert.deepEqual(
    lines.map(({ msg, part }) => `${msg}: ${part}`),
    [
      ...["started: database", "started: pool", "started: plane"],
      ...["stopped: plane", "not stopped cleanly: pool", "stopped: database"],
    ],
  );
});

test("what fails at its start stops what began, and is what the caller hears of", async () => {
  const { log } = open();
  const stopped: string[] = [];
  const failure = new Error("FAKE");
  const start = withComponents(log, async (it) => {
    await it.start({ name: "one", start: () => 1, stop: () => void stopped.push("one") });
    await it.start({
      name: "two",
      start: () => Promise.reject(failure),
      stop: () => void stopped.push("two"),
    });
  });
  await assert.rejects(start, failure);
  assert.deepEqual(stopped, ["one"]);
});
