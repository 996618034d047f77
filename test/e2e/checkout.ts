// The product as a stranger has it: a copy of the checkout in a folder of its own, with its packages, and programs
// started there as any user. Whatever still runs when the test ends is ended.
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  chown,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
} from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { eventually } from "../support/eventually.ts";
import { freePorts } from "../support/service.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const PACKAGES = join(REPOSITORY, "node_modules");
const NO_PRODUCT = [":!test", ":!bench", ":!docs"];
const WRITES_WITHIN_MS = 60_000;

/** Whom a program runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

export interface Program {
  readonly pid: number;
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Types on its standard input. */
  type(text: string): void;
  /** Waits until its output has a match, and gives that. */
  wrote(pattern: RegExp): Promise<RegExpExecArray>;
  /** Signals this one process. */
  signal(signal: NodeJS.Signals): void;
  /** Its exit status; null after a signal. */
  readonly ended: Promise<number | null>;
}

export interface Checkout {
  readonly folder: string;
  readonly dataDir: string;
  readonly proxyUrl: string;
  readonly adminUrl: string;
  readonly metricsUrl: string;
  /** Starts a program there, in a process group of its own. */
  start(command: string, ...args: string[]): Program;
  /** Runs a line of shell there to its end. */
  run(
    line: string,
    input?: string,
  ): Promise<{ status: number | null; stdout: string; stderr: string }>;
}

export interface CopyOptions {
  readonly name: string;
  /** Everybody may enter it, and not its owner alone. */
  readonly open: boolean;
  /** With the dashboard built, and a link to the packages: for what is not about a first start. */
  readonly built?: boolean;
  /** Whom it belongs to. */
  readonly user?: User;
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * Copies what git tracks, or would, of the product and its packages to a new folder `name`; ready to listen on free ports, with
 * `settings` in the environment.
 */
export async function copyCheckout(t: TestContext, o: CopyOptions): Promise<Checkout> {
  const parent = await mkdtemp(join(tmpdir(), "x3sproxy-checkout-"));
  const programs: ChildProcess[] = [];
  const folder = join(parent, o.name);
  const dataDir = join(folder, ".x3sproxy");
  t.after(async () => {
    for (const program of programs) endGroup(program);
    await endPostgres(dataDir);
    await rm(parent, { recursive: true, force: true });
  });
  await mkdir(folder);
  await copyFiles(folder);
  await (o.built === true ? linkBuilt(folder) : copyPackages(folder));
  if (o.open) await chmod(parent, 0o755);
  if (o.user !== undefined) await giveTo(o.user, parent, folder);

  const [proxyPort = 0, adminPort = 0, metricsPort = 0] = await freePorts(3);
  const addresses = {
    proxyUrl: `http://127.0.0.1:${proxyPort}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
  };
  const env = {
    PATH: systemPath(),
    HOME: folder,
    X3SPROXY_PROXY_ADDR: `127.0.0.1:${proxyPort}`,
    X3SPROXY_ADMIN_ADDR: `127.0.0.1:${adminPort}`,
    X3SPROXY_METRICS_ADDR: `127.0.0.1:${metricsPort}`,
    ...o.settings,
  };
  const start: Checkout["start"] = (command, ...args) => {
    const child = spawn(command, args, { cwd: folder, env, detached: true, ...o.user });
    programs.push(child);
    return followProgram(child);
  };
  return {
    folder,
    dataDir,
    ...addresses,
    start,
    async run(line, input = "") {
      const program = start("sh", "-c", line);
      program.type(input);
      programs.at(-1)?.stdin?.end();
      return { status: await program.ended, ...program.output };
    },
  };
}

function followProgram(child: ChildProcess): Program {
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => (output[name] += text));
  }
  child.stdin?.on("error", () => undefined); // it may have ended without reading
  const ended = once(child, "close").then(() => child.exitCode);
  let over = false;
  void ended.then(() => (over = true));
  return {
    pid: child.pid ?? 0,
    output,
    ended,
    type: (text) => void child.stdin?.write(text),
    signal: (signal) => void child.kill(signal),
    wrote: (pattern) =>
      eventually(() => {
        const found = pattern.exec(output.stderr) ?? pattern.exec(output.stdout);
        if (found === null && over) {
          assert.fail(`it ended without ${String(pattern)}: ${output.stdout}${output.stderr}`);
        }
        return found ?? undefined;
      }, WRITES_WITHIN_MS),
  };
}

async function copyFiles(folder: string): Promise<void> {
  const { stdout } = await promisify(execFile)(
    "git",
    ["ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ...NO_PRODUCT],
    { cwd: REPOSITORY, maxBuffer: 10_000_000 },
  );
  const files = stdout.split("\0").filter((name) => name !== "");
  for (const place of new Set(files.map((file) => dirname(file)))) {
    await mkdir(join(folder, place), { recursive: true });
  }
  for (const file of files) {
    // Git still lists a file that was deleted and not committed.
    await copyFile(join(REPOSITORY, file), join(folder, file)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    });
  }
}

async function copyPackages(folder: string): Promise<void> {
  // Hard links are quick; across file systems there are none.
  await promisify(execFile)("cp", ["-al", PACKAGES, folder]).catch(async () => {
    await rm(join(folder, "node_modules"), { recursive: true, force: true });
    await promisify(execFile)("cp", ["-a", PACKAGES, folder]);
  });
}

async function linkBuilt(folder: string): Promise<void> {
  await symlink(PACKAGES, join(folder, "node_modules"));
  await cp(join(REPOSITORY, "dist"), join(folder, "dist"), { recursive: true });
}

/** The packages stay ours: they are the same files as the repository's. */
async function giveTo({ uid, gid }: User, parent: string, folder: string): Promise<void> {
  await chown(parent, uid, gid);
  await chown(folder, uid, gid);
  for (const entry of await readdir(folder)) {
    if (entry === "node_modules") continue;
    await promisify(execFile)("chown", ["-R", `${uid}:${gid}`, join(folder, entry)]);
  }
}

/** Without this run's own packages, which a stranger's shell does not find. */
function systemPath(): string {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.filter((folder) => !folder.includes("node_modules")).join(delimiter);
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** The process id of the server that runs, or ran last, on the data folder. */
export async function postgresOf(dataDir: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8").catch(() => "");
  return Number(text.split("\n", 1)[0]) || undefined;
}

/** Ends every process whose working directory is the cluster, where a service that was killed left one. */
export async function endPostgres(dataDir: string): Promise<void> {
  for (const pid of await processesIn(dataDir)) process.kill(pid, "SIGKILL");
  await eventually(async () => (await processesIn(dataDir)).length === 0);
}

/** The processes that work in a folder or below it. */
export async function processesIn(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir("/proc")) {
    const place = await readlink(`/proc/${entry}/cwd`).catch(() => "");
    if (/^\d+$/.test(entry) && (place === folder || place.startsWith(`${folder}/`))) {
      found.push(Number(entry));
    }
  }
  return found;
}

/** Whether something accepts connections at a URL. */
export async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Why a test that needs root, and Linux's /proc, does not run here; false where it can. */
export const notAsRoot =
  process.platform !== "linux" ? "needs Linux" : process.getuid?.() !== 0 && "needs root";
