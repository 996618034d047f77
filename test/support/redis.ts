// A Redis or Valkey of a test's own: Debian's, installed where that can be done, on a free port of loopback, without persistence.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { tmpdir } from "node:os";
import type { TestContext } from "node:test";
import { createClient } from "@redis/client";
import { findProgram } from "./debian-program.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./service.ts";

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** SIGKILL: a crash, in which everything is lost. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT: connections stay open, and nothing answers. */
  freeze(): void;
  thaw(): void;
  /** On the same port, after a kill. */
  start(): Promise<void>;
  /** What one command answers. */
  command(...args: string[]): Promise<unknown>;
}

/** Starts one; it ends with the test. `isCluster`: one node that has all slots, and refuses what keys of several would be for. */
export async function startRedis(
  t: TestContext,
  o: { password?: string; port?: number; isCluster?: boolean } = {},
): Promise<TestRedis> {
  const program = findProgram(["valkey-server", "redis-server"], "redis-server");
  const port = o.port ?? (await freePorts(1))[0] ?? 0;
  const [busPort] = o.isCluster === true ? await freePorts(1) : [];
  const url = `redis://${o.password === undefined ? "" : `:${encodeURIComponent(o.password)}@`}127.0.0.1:${port}`;
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-redis-"));
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    // By standard input: a password is no argument.
    const started = spawn(program, ["-"], { cwd: folder, stdio: ["pipe", "ignore", "ignore"] });
    child = started;
    started.stdin.end(
      [
        "bind 127.0.0.1",
        `port ${port}`,
        'save ""',
        "appendonly no",
        `cluster-enabled ${o.isCluster === true ? "yes" : "no"}`,
        // Else it is ten thousand above, where somebody's connection may begin: Redis ends then.
        ...(busPort === undefined ? [] : [`cluster-port ${busPort}`]),
        ...(o.password === undefined ? [] : [`requirepass ${o.password}`]),
        "",
      ].join("\n"),
    );
    process.once("exit", killWithUs);
    await eventually(() => answers(port));
  }

  const killWithUs = (): void => void child?.kill("SIGKILL");
  async function kill(): Promise<void> {
    process.off("exit", killWithUs);
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null) return;
    const exited = once(ending, "exit");
    ending.kill("SIGKILL");
    await exited;
  }

  async function command(...args: string[]): Promise<unknown> {
    const client = createClient({ url, RESP: 2, socket: { reconnectStrategy: false } });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }

  await start();
  t.after(async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  });
  if (o.isCluster === true) await command("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  return {
    url,
    port,
    start,
    kill,
    command,
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
  };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
