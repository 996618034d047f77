// The cluster: the files of the embedded server. initdb creates them in another folder, which is then renamed. So an interrupted start must
// never leave files that the next one takes for a cluster.
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chown, mkdir, open, readFile, rename, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { findPrograms, type Programs } from "./embedded-programs.ts";
import { reachablePrograms, serverUser, type SystemUser } from "./embedded-programs.ts";

/** With which programs, and as which user, Postgres runs on this machine. */
export interface Host {
  readonly programs: Programs;
  /** Undefined: the user of this process. */
  readonly user: SystemUser | undefined;
}

export const SUPERUSER = "x3sproxy";

export async function prepareHost(cluster: string): Promise<Host> {
  const programs = await findPrograms();
  if (process.getuid?.() !== 0) return { programs, user: undefined };
  if (process.platform !== "linux") {
    throw new ConfigError(
      "Postgres refuses to run as root: start the service as a normal user, or set DATABASE_URL",
    );
  }
  return { programs: await reachablePrograms(programs), user: await serverUser(cluster) };
}

/** Creates the cluster if there is none; resolves to the superuser's password. */
export async function prepareCluster(
  dataDir: string,
  cluster: string,
  host: Host,
): Promise<string> {
  const passwordFile = join(dataDir, "postgres-password");
  const found = await readFile(join(cluster, "PG_VERSION"), "utf8").catch(notThere);
  if (found === undefined) {
    const password = randomBytes(32).toString("base64url");
    await writeFile(passwordFile, password, { mode: 0o600 });
    await initialise(dataDir, cluster, host, password);
    return password;
  }
  const ours = host.programs.version.split(".", 1)[0] ?? "";
  if (found.trim() !== ours) {
    throw new ConfigError(
      `${cluster} was made by Postgres ${found.trim()}, and the embedded one is Postgres ${ours}: ` +
        "move the data over with pg_dump of the older version, or go back to the x3sproxy that made it",
    );
  }
  const password = await readFile(passwordFile, "utf8").catch(notThere);
  if (password === undefined) {
    throw new ConfigError(
      `${passwordFile} is missing: restore it from a backup of the data folder`,
    );
  }
  return password;
}

/** Starts a program of Postgres with the cluster as its working directory, and without our environment variables. */
export function spawnProgram(
  host: Host,
  program: "initdb" | "postgres",
  folder: string,
  args: readonly string[],
  options: Pick<SpawnOptions, "detached" | "stdio">,
): ChildProcess {
  // Another user may not be able to reach the path. The link in /proc works, since spawn changes the directory before the user.
  const data = host.user === undefined ? folder : "/proc/self/cwd";
  return spawn(join(host.programs.folder, "bin", program), ["-D", data, ...args], {
    ...options,
    ...host.user,
    cwd: folder,
    env: { LC_ALL: "C", PATH: "/usr/bin:/bin" },
  });
}

async function initialise(
  dataDir: string,
  cluster: string,
  host: Host,
  password: string,
): Promise<void> {
  const fresh = `${cluster}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  if (host.user !== undefined) {
    await chown(fresh, host.user.uid, host.user.gid).catch((error: unknown) => {
      throw new ConfigError(
        `Postgres refuses to run as root, and root may not become another user here (${codeOf(error) ?? "?"}): ` +
          "start the service as a normal user, or set DATABASE_URL",
      );
    });
  }
  // initdb reads the password from a file descriptor. The file is unlinked, so its user needs no access to a folder.
  const secretPath = join(dataDir, `.initdb-${process.pid}`);
  const secret = await open(secretPath, "wx+", 0o600);
  try {
    await unlink(secretPath);
    await secret.writeFile(password);
    if (host.user !== undefined) await secret.chown(host.user.uid, host.user.gid);
    const args = [
      ...["--username", SUPERUSER, "--pwfile=/dev/fd/3", "--auth=scram-sha-256"],
      ...["--encoding=UTF8", "--locale=C", "--no-instructions"],
    ];
    await finish(
      spawnProgram(host, "initdb", fresh, args, { stdio: ["ignore", "ignore", "pipe", secret.fd] }),
    );
  } finally {
    await secret.close();
  }
  await rename(fresh, cluster);
}

function finish(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  let complaint = "";
  child.stderr?.on(
    "data",
    (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-2000)),
  );
  child.on("error", (error) =>
    reject(new ConfigError(`initdb can't be started (${codeOf(error) ?? "unknown error"})`)),
  );
  child.on("close", (status) =>
    status === 0
      ? resolve(undefined)
      : reject(new ConfigError(`initdb failed (${String(status)}): ${complaint.trim()}`)),
  );
  return promise;
}

function notThere(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
}
