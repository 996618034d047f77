import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const SRC = fileURLToPath(new URL("../../src/platform/", import.meta.url));

// In a process of its own, since it takes all that there is.
const SCRIPT = `
  const { watchOpenFiles } = await import("${SRC}connection-bounds.ts");
  const { createMetrics } = await import("${SRC}metrics.ts");
  const { createLog } = await import("${SRC}log.ts");
  const { openSync, closeSync } = await import("node:fs");
  const { connect, createServer } = await import("node:net");
  const { once } = await import("node:events");
  const metrics = createMetrics();
  const lines = [];
  const log = createLog({ level: "warn", destination: { write: (line) => lines.push(JSON.parse(line)) } });
  const server = createServer((socket) => socket.end("hello"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const ask = async () => {
    const client = connect(server.address().port, "127.0.0.1");
    const [text] = await once(client, "data");
    return String(text);
  };
  const count = async () => (await metrics.openFilesExhausted.get()).values[0].value;
  const until = async (probe) => {
    while (!(await probe())) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const stop = watchOpenFiles({ metrics, log });
  const files = [];
  try {
    for (;;) files.push(openSync("/dev/null"));
  } catch {}
  await until(async () => (await count()) >= 3);
  const counted = await count();
  for (const file of files) closeSync(file);
  const greeting = await ask();
  const before = await count();
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const after = await count();
  stop();
  server.close();
  console.log(JSON.stringify({ counted, greeting, more: after - before, lines }));
`;

test("running out of file descriptors is counted and said once, and ends when some are free", async () => {
  const child = spawn(
    "sh",
    ["-c", 'ulimit -n 100; exec "$@"', "sh", process.execPath, "--input-type=module", "-e", SCRIPT],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
  await once(child, "close");
  assert.equal(child.exitCode, 0);
  const { counted, greeting, more, lines } = JSON.parse(text) as {
    counted: number;
    greeting: string;
    more: number;
    lines: { level: number; msg: string; count: number }[];
  };
  assert.ok(counted >= 3);
  assert.equal(greeting, "hello");
  assert.equal(more, 0);
  assert.equal(lines.length, 1);
  assert.match(lines[0]?.msg ?? "", /no file descriptor is left/);
});
