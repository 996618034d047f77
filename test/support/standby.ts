// Two real Postgres servers: a primary, and a standby that streams from it and can be promoted. Each is there for its test alone.
import { execFile, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { withOwner } from "../../src/db/connection.ts";
import {
  prepareCluster,
  prepareHost,
  spawnProgram,
  SUPERUSER,
} from "../../src/db/embedded-cluster.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./service.ts";

export interface Pair {
  /** Names both servers. */
  readonly url: string;
  /** SIGKILLs the primary's server. */
  killPrimary(): Promise<void>;
  /** Makes the standby a primary; resolves when it is one. */
  promoteStandby(): Promise<void>;
}

/** What is committed is at the standby: a commit waits for that, as where nothing may be lost. */
export async function startPair(t: TestContext): Promise<Pair> {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-pair-"));
  const [primaryPort = 0, standbyPort = 0] = await freePorts(2);
  const primary = join(folder, "primary", "postgres");
  const standby = join(folder, "standby", "postgres");
  await mkdir(join(folder, "primary"));
  await mkdir(join(folder, "standby"));
  const host = await prepareHost(primary);
  const password = await prepareCluster(join(folder, "primary"), primary, host);
  // Of a server that never ran: as good as a base backup.
  await promisify(execFile)("cp", ["-a", primary, standby]);
  const source = `host=127.0.0.1 port=${primaryPort} user=${SUPERUSER} password=${password}`;
  await appendFile(join(standby, "postgresql.auto.conf"), `primary_conninfo = '${source}'\n`);
  await writeFile(join(standby, "standby.signal"), "");

  const children: ChildProcess[] = [];
  const launch = (cluster: string, port: number, settings: readonly string[]): ChildProcess => {
    const common = [`port=${port}`, "listen_addresses=127.0.0.1", "unix_socket_directories="];
    const args = [...common, ...settings].flatMap((setting) => ["-c", setting]);
    const child = spawnProgram(host, "postgres", cluster, args, {
      detached: true,
      stdio: "ignore",
    });
    children.push(child);
    return child;
  };
  const end = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  t.after(async () => {
    for (const child of children) await end(child);
    await eventually(() =>
      rm(folder, { recursive: true, force: true }).then(
        () => true,
        () => false, // its processes are still ending
      ),
    );
  });
  const urlOf = (hosts: string): string => `postgres://${SUPERUSER}:${password}@${hosts}/postgres`;
  const answers = (port: number): Promise<boolean> =>
    withOwner(urlOf(`127.0.0.1:${port}`), (sql) => sql`select 1`).then(
      () => true,
      () => false,
    );

  const first = launch(primary, primaryPort, ["synchronous_standby_names=*"]);
  launch(standby, standbyPort, []);
  await eventually(() => answers(primaryPort), 20_000);
  await eventually(() =>
    withOwner(urlOf(`127.0.0.1:${primaryPort}`), async (sql) => {
      const [row] = await sql`select from pg_stat_replication where sync_state = 'sync'`;
      return row !== undefined;
    }),
  );
  return {
    url: urlOf(`127.0.0.1:${primaryPort},127.0.0.1:${standbyPort}`),
    killPrimary: () => end(first),
    async promoteStandby() {
      await writeFile(join(standby, "promote"), "");
      children[1]?.kill("SIGUSR1"); // as pg_ctl does
      await eventually(() => !existsSync(join(standby, "standby.signal")), 30_000);
    },
  };
}
