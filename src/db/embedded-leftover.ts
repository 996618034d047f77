// Stops a server that outlived its service, because the service was killed. Finds it by its process id file. Must never signal a process
// that isn't a server of this cluster.
import { execFile } from "node:child_process";
import { readFile, readlink, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";

const STOP_WITHIN_MS = 10_000;
const POLL_MS = 20;

/** Stops the server that still runs on `cluster`, if there is one. The caller holds the lock of the data folder. */
export async function stopLeftover(cluster: string): Promise<void> {
  const pidFile = join(cluster, "postmaster.pid");
  const pid = Number((await readFile(pidFile, "utf8").catch(() => "")).split("\n", 1)[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  if (!(await isServerOf(cluster, pid))) {
    // Another process may have this id now. Postgres would then refuse to start.
    if (isAlive(pid)) await rm(pidFile, { force: true });
    return;
  }
  // PostgreSQL manual, 18.5: fast, then immediate shutdown.
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    if (isAlive(pid)) process.kill(pid, signal);
    for (let waitedMs = 0; waitedMs < STOP_WITHIN_MS; waitedMs += POLL_MS) {
      if (!(await isServerOf(cluster, pid))) return;
      await delay(POLL_MS);
    }
  }
  throw new ConfigError(
    `an earlier embedded Postgres with process id ${pid} doesn't stop: stop it, then start again`,
  );
}

async function isServerOf(cluster: string, pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform === "linux") {
    // A zombie process has no working directory.
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    return folder === (await realpath(cluster));
  }
  const { stdout } = await promisify(execFile)("ps", ["-o", "command=", "-p", String(pid)]).catch(
    () => ({ stdout: "" }),
  );
  return stdout.includes(`-D ${cluster} `);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
