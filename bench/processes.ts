// The processes that the bench starts: pinned to a core, measured by /proc as whole trees, and ended with the bench however
// it ends. Linux only.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Load, upstream and Postgres share one core, the proxy under test has the other. */
export const LOAD_CORE = 0;
export const PROXY_CORE = 1;

const TICK_US = 10_000; // USER_HZ is 100 on every Linux that Node runs on (proc(5))
const END_WITHIN_MS = 15_000;

export interface Started {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it has written to its output. */
  readonly output: () => string;
}

const running = new Set<ChildProcess>();

/** Starts a program on a core. Its output goes to `logFile`, or is kept. It gets SIGTERM if the bench dies without a word. */
export function start(
  command: readonly string[],
  o: { core: number; env?: Readonly<Record<string, string>>; logFile?: string; cwd?: string },
): Started {
  const pinned = ["--pdeathsig", "TERM", "taskset", "-c", String(o.core), ...command];
  const out = o.logFile === undefined ? "pipe" : openSync(o.logFile, "a");
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn("setpriv", pinned, {
    env: { PATH, HOME, ...o.env },
    stdio: ["ignore", out, out],
    detached: true, // Ctrl-C is for the bench, which then ends them in order
    ...(o.cwd === undefined ? {} : { cwd: o.cwd }),
  });
  if (typeof out === "number") closeSync(out);
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.once("error", () => running.delete(child));
  let output = "";
  child.stdout?.on("data", (data: Buffer) => (output += data.toString()));
  child.stderr?.on("data", (data: Buffer) => (output += data.toString()));
  if (child.pid === undefined) throw new Error(`can't start ${command[0] ?? "?"}`);
  const { logFile } = o;
  return {
    pid: child.pid,
    child,
    output: () => (logFile === undefined ? output : readFileSync(logFile, "utf8")),
  };
}

/** Ends a process and waits until it is gone. */
export async function end({ child }: Pick<Started, "child">): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), END_WITHIN_MS);
  await ended;
  clearTimeout(late);
}

let ending = false;

/** Whether everything is being ended: what breaks from then on breaks for that reason. */
export function isEnding(): boolean {
  return ending;
}

/** Ends everything that was started and still runs. */
export async function endAll(): Promise<void> {
  ending = true;
  await Promise.all([...running].map((child) => end({ child })));
}

/** Resolves when a port of this machine answers; rejects when the process ends before, or after half a minute. */
export async function untilListening(port: number, started: Started): Promise<void> {
  const { connect } = await import("node:net");
  for (let tries = 0; tries < 600; tries++) {
    if (started.child.exitCode !== null) break;
    const socket = connect(port, "127.0.0.1");
    const open = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on ${port}: ${started.output().slice(-2000)}`);
}

interface Stat {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
  readonly cpuUs: number;
}

function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // it has ended
  }
  const nameEnd = text.lastIndexOf(")");
  const fields = text.slice(nameEnd + 2).split(" ");
  const name = text.slice(text.indexOf("(") + 1, nameEnd);
  // proc(5): after the name come state, ppid, …; utime and stime are the 12th and 13th.
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { pid, name, parent: Number(fields[1]), cpuUs: ticks * TICK_US };
}

/** A process and all that descend from it. */
export function treeOf(root: number): Stat[] {
  const all = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => readStat(Number(entry)))
    .filter((stat) => stat !== undefined);
  const tree = all.filter(({ pid }) => pid === root);
  for (const member of tree) tree.push(...all.filter(({ parent }) => parent === member.pid));
  return tree;
}

/** CPU time of a tree so far, in microseconds; the share of its Postgres apart. */
export function cpuOf(root: number): { ownUs: number; postgresUs: number } {
  let ownUs = 0;
  let postgresUs = 0;
  for (const { name, cpuUs } of treeOf(root)) {
    if (name.startsWith("postgres")) postgresUs += cpuUs;
    else ownUs += cpuUs;
  }
  return { ownUs, postgresUs };
}

/** Memory of a tree in bytes: the proportional set size, so that shared pages count once. */
export function memoryOf(root: number): number {
  let kilobytes = 0;
  for (const { pid } of treeOf(root)) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
      kilobytes += Number(/^Pss: +(\d+) kB/m.exec(text)?.[1] ?? 0);
    } catch {
      // it has ended
    }
  }
  return kilobytes * 1024;
}

/** How many files a tree has open. */
export function filesOf(root: number): number {
  return treeOf(root).reduce((sum, { pid }) => {
    try {
      return sum + readdirSync(join("/proc", String(pid), "fd")).length;
    } catch {
      return sum;
    }
  }, 0);
}

/** How long each core has been busy and how long it has been anything, in ticks. */
export function coreTimes(): { busy: number; all: number }[] {
  return readFileSync("/proc/stat", "latin1")
    .split("\n")
    .filter((line) => /^cpu\d/.test(line))
    .map((line) => {
      const times = line.split(/ +/).slice(1, 9).map(Number);
      const all = times.reduce((sum, time) => sum + time, 0);
      return { all, busy: all - (times[3] ?? 0) - (times[4] ?? 0) };
    });
}
