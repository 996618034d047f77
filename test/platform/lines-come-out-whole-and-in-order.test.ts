import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";

const LOG = new URL("../../src/platform/log.ts", import.meta.url).href;

interface Line {
  level: number;
  time: string;
  msg: string;
  count?: number;
}

/** A process that runs `program` with a log to its standard output. */
function startLogger(program: string) {
  const script = `import { createLog } from ${JSON.stringify(LOG)};
    const log = createLog({ level: "info" });
    ${program}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  return { child, errors: () => errors };
}

async function linesOf({ child, errors }: ReturnType<typeof startLogger>): Promise<Line[]> {
  let text = "";
  child.stdout.on("data", (data: Buffer) => (text += data.toString()));
  await once(child, "close");
  assert.equal(errors(), "");
  assert.ok(text.endsWith("\n"));
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

describe("lines come out whole and in order", () => {
  for (const [how, end] of Object.entries({
    "when the process ends by itself": "",
    "when it exits": "process.exit(0);",
    "when it flushes within a batch that is on its way, and exits":
      "setImmediate(() => log.flush().then(() => process.exit(0)));",
  })) {
    test(how, async () => {
      const count = 20_000; // several batches
      const lines = await linesOf(
        startLogger(`for (let i = 0; i < ${count}; i++) log.info("line", { count: i }); ${end}`),
      );
      assert.deepEqual(
        lines.map((line) => line.count),
        Array.from({ length: count }, (_, i) => i),
      );
    });
  }

  test("a single line does not wait for others", async () => {
    const logger = startLogger(`log.info("alone"); setInterval(() => {}, 1000);`);
    const [data] = (await once(logger.child.stdout, "data")) as [Buffer];
    assert.equal((JSON.parse(data.toString()) as Line).msg, "alone");
    logger.child.kill();
  });

  test("what could end a line or a field is escaped, and time and level are there", async () => {
    const [line] = await linesOf(startLogger(`log.warn("a", { path: "/x\\n\\"}\\u2028" });`));
    assert.equal((line as unknown as { path: string }).path, '/x\n"}\u2028');
    assert.equal(line?.level, 40);
    assert.equal(new Date(line.time).toISOString(), line.time);
  });

  test("a reader that has stopped reading costs lines, not the service", async () => {
    // 60 MB of lines, in turns, so that whatever blocks shows in the time that a turn takes.
    const logger = startLogger(`
      const path = "/" + "x".repeat(1000);
      let worstMs = 0, left = 60, beforeMs = performance.now();
      const turn = () => {
        const nowMs = performance.now();
        worstMs = Math.max(worstMs, nowMs - beforeMs);
        for (let i = 0; i < 1000; i++) log.info("line", { path });
        beforeMs = performance.now();
        if (--left > 0) setImmediate(turn);
        else process.stderr.write(JSON.stringify({ worstMs, bytes: process.memoryUsage.rss() }));
      };
      turn();
      process.stdin.once("data", () => {
        log.info("read again");
        setTimeout(() => process.exit(0), 1000);
      });`);
    await eventually(() => logger.errors().endsWith("}"));
    const { worstMs, bytes } = JSON.parse(logger.errors()) as { worstMs: number; bytes: number };
    assert.ok(worstMs < 500, `a turn waited for ${worstMs} ms`);
    assert.ok(bytes < 250e6, `${bytes} bytes in use`);
    let text = "";
    logger.child.stdout.on("data", (data: Buffer) => (text += data.toString()));
    logger.child.stdin.write("go");
    await once(logger.child, "close");
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
    const dropped = lines.filter(({ msg }) => msg === "log lines were dropped");
    const count = dropped.reduce((sum, line) => sum + (line.count ?? 0), 0);
    assert.ok(count > 0);
    assert.equal(lines.filter(({ msg }) => msg === "line").length + count, 60_000);
  });
});
