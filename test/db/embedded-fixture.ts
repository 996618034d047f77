// Embedded servers for tests, each in its own folder; also one in another process that a test can kill.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startEmbedded, type Embedded } from "../../src/db/embedded.ts";
import { createLog } from "../../src/platform/log.ts";

export const isRoot = process.getuid?.() === 0;

export interface DataDir {
  /** Does not exist yet. Its path has a space, and only the owner may enter its parent (mkdtemp makes it 0700). */
  readonly dataDir: string;
  start(): Promise<Embedded>;
  /** Also stops servers that were started here. */
  remove(): Promise<void>;
}

export async function newDataDir(): Promise<DataDir> {
  const parent = await mkdtemp(join(tmpdir(), "x3sproxy embedded "));
  const dataDir = join(parent, "data folder");
  const running = new Set<Embedded>();
  return {
    dataDir,
    async start() {
      const server = await startEmbedded({ dataDir, log: createLog({ level: "silent" }) });
      running.add(server);
      const stop = (): Promise<void> =>
        running.delete(server) ? server.stop() : Promise.resolve();
      return { ownerUrl: server.ownerUrl, stop };
    },
    async remove() {
      for (const server of running) await server.stop();
      await rm(parent, { recursive: true, force: true });
    },
  };
}

export async function postmasterPid(dataDir: string): Promise<number> {
  const text = await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8");
  return Number(text.split("\n", 1)[0]);
}

/** Whether a process runs. A zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== "linux") return true;
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

const SCRIPT = `
  const { startEmbedded } = await import(${JSON.stringify(new URL("../../src/db/embedded.ts", import.meta.url).href)});
  const { createLog } = await import(${JSON.stringify(new URL("../../src/platform/log.ts", import.meta.url).href)});
  const server = await startEmbedded({ dataDir: process.argv[1], log: createLog({ level: "silent" }) });
  console.log(server.ownerUrl);
  process.on("SIGTERM", () => server.stop().then(() => process.exit()));
  setInterval(() => {}, 1000);
`;

/** A process that runs an embedded server until SIGTERM. */
export async function startElsewhere(
  dataDir: string,
): Promise<{ child: ChildProcess; ownerUrl: string; end(signal: NodeJS.Signals): Promise<void> }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", SCRIPT, dataDir], {
    env: { ...process.env, X3SPROXY_MASTER_KEY: "fake-master-key" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [ownerUrl] = (await once(createInterface(child.stdout), "line")) as [string];
  return {
    child,
    ownerUrl,
    async end(signal) {
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    },
  };
}
