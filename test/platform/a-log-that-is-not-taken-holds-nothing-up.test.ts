// A full disk, a limit on files, a file that is moved or goes away: the service goes on, its memory is bounded, what is missing is
// counted and said, and once lines are taken again the rest is whole. Each on a real process.
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { eventually } from "../support/eventually.ts";

const SOURCES = new URL("../../src/platform/", import.meta.url).href;
const run = promisify(execFile);
const isLinux = process.platform === "linux";

interface Line {
  readonly msg: string;
  readonly count?: number;
}

interface Logger {
  readonly child: ChildProcess;
  readonly path: string;
  /** Has the process log `count` lines with a path of 1000 characters; gives how long it was held up, and what it uses. */
  log(count: number): Promise<{ worstMs: number; bytes: number; dropped: number }>;
  end(): Promise<void>;
  lines(path?: string): Promise<Line[]>;
  /** How many there are so far. */
  count(path?: string): Promise<number>;
}

/** A process with a log to a file. `limitKb`: how big a file may get for it. */
async function openLogger(
  t: TestContext,
  o: { path?: string; limitKb?: number } = {},
): Promise<Logger> {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-log-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = o.path ?? join(folder, "logs", "x3sproxy.log");
  await mkdir(join(folder, "logs"));
  const script = `
    const { createLog } = await import(${JSON.stringify(`${SOURCES}log.ts`)});
    const { openLogOutput } = await import(${JSON.stringify(`${SOURCES}log-output.ts`)});
    const log = createLog({ level: "info", destination: openLogOutput(process.argv[1]) });
    const path = "/" + "x".repeat(999);
    let next = 0;
    process.on("message", (count) => {
      let worstMs = 0, left = count, beforeMs = performance.now();
      const turn = () => {
        const nowMs = performance.now();
        worstMs = Math.max(worstMs, nowMs - beforeMs);
        for (let i = 0; i < 1000 && left > 0; i++, left--) log.info("line", { count: next++, path });
        beforeMs = performance.now();
        if (left > 0) setImmediate(turn);
        else process.send({ worstMs, bytes: process.memoryUsage.rss(), dropped: log.droppedLines() });
      };
      turn();
    });
    process.once("SIGTERM", () => log.flush().then(() => process.exit(0)));
    process.send("ready");`;
  const node = [process.execPath, "--input-type=module", "--eval", script, path] as const;
  const limit = o.limitKb === undefined ? "" : `ulimit -S -f ${o.limitKb}; `;
  const child = spawn("/bin/bash", ["-c", `${limit}exec "$@"`, "bash", ...node], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  t.after(() => child.kill("SIGKILL"));
  await once(child, "message");
  return {
    child,
    path,
    async log(count) {
      child.send(count);
      const [used] = (await once(child, "message")) as [Awaited<ReturnType<Logger["log"]>>];
      return used;
    },
    async end() {
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      assert.deepEqual(await exited, [0, null]);
    },
    count: async (of = path) => (await readFile(of, "utf8")).split("\n").length - 1,
    async lines(of = path) {
      const text = await readFile(of, "utf8");
      const lines = text.split("\n");
      assert.equal(lines.pop(), "", "the last line is whole");
      return lines.map((line) => JSON.parse(line) as Line);
    },
  };
}

function assertBounded({ worstMs, bytes }: { worstMs: number; bytes: number }): void {
  assert.ok(worstMs < 500, `a turn waited for ${worstMs} ms`);
  assert.ok(bytes < 250e6, `${bytes} bytes in use`);
}

function numbersOf(lines: readonly Line[]): number[] {
  return lines.filter(({ msg }) => msg === "line").map(({ count }) => count ?? -1);
}

describe("a log that is not taken holds nothing up", { skip: !isLinux && "needs Linux" }, () => {
  test("a device that is full", async (t) => {
    const logger = await openLogger(t, { path: "/dev/full" });
    const used = await logger.log(60_000);
    assertBounded(used);
    assert.ok(used.dropped > 20_000 && used.dropped < 60_000, `${used.dropped} lines dropped`);
    const startMs = performance.now();
    await logger.end();
    assert.ok(performance.now() - startMs < 4000, "its end does not wait for the log");
  });

  test("a limit that is lifted: nothing of what waited is lost, the rest is counted", async (t) => {
    const logger = await openLogger(t, { limitKb: 512 });
    const used = await logger.log(40_000);
    assertBounded(used);
    assert.ok(used.dropped > 0);
    assert.ok((await stat(logger.path)).size <= 512 * 1024);
    await run("prlimit", ["--pid", String(logger.child.pid), "--fsize=unlimited"]);
    await eventually(async () => (await readFile(logger.path, "utf8")).includes("were dropped"));
    await logger.end();
    const lines = await logger.lines();
    const said = lines.filter(({ msg }) => msg === "log lines were dropped");
    const dropped = said.reduce((sum, { count = 0 }) => sum + count, 0);
    assert.ok(dropped >= used.dropped, "of the last batch as well");
    const numbers = numbersOf(lines);
    assert.equal(numbers.length + dropped, 40_000);
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
      "in order, each once",
    );
    assert.equal(new Set(numbers).size, numbers.length);
  });

  test("a file that is moved, as for its rotation, is made anew, for its owner alone", async (t) => {
    const logger = await openLogger(t);
    await logger.log(100);
    await eventually(async () => (await logger.count()) === 100);
    assert.equal((await stat(logger.path)).mode & 0o777, 0o600);
    const moved = `${logger.path}.1`;
    await rename(logger.path, moved);
    let logged = 100;
    await eventually(async () => {
      await logger.log(1);
      logged++;
      return stat(logger.path).then(
        () => true,
        () => false,
      );
    });
    await logger.end();
    assert.equal((await stat(logger.path)).mode & 0o777, 0o600);
    const numbers = [...numbersOf(await logger.lines(moved)), ...numbersOf(await logger.lines())];
    assert.deepEqual(
      numbers,
      Array.from({ length: logged }, (_, i) => i),
    );
  });

  test("a folder that goes away: lines wait for it", async (t) => {
    const logger = await openLogger(t);
    await logger.log(10);
    await eventually(async () => (await logger.count()) === 10);
    const folder = join(logger.path, "..");
    await rename(folder, `${folder}.away`);
    // What is written until it notices goes to the file that it has open.
    const away = join(`${folder}.away`, "x3sproxy.log");
    let logged = 10;
    let inAway = 0;
    await eventually(async () => {
      await logger.log(1);
      logged++;
      const before = inAway;
      inAway = await logger.count(away);
      return inAway === before && inAway < logged - 20;
    });
    await mkdir(folder);
    await eventually(async () => {
      const back = await logger.count().catch(() => 0);
      return back === logged - inAway;
    });
    await logger.end();
    const numbers = [...numbersOf(await logger.lines(away)), ...numbersOf(await logger.lines())];
    assert.deepEqual(
      numbers,
      Array.from({ length: logged }, (_, i) => i),
    );
  });
});
