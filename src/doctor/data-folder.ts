// Checks the data folder: the owners of the folder and its files, symbolic links, and the folders above it. Changes nothing.
import type { Stats } from "node:fs";
import { lstat, readdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Config } from "../platform/config.ts";
import { failureOf, listed, type Findings } from "./finding.ts";

const STICKY = 0o1000;
const MOST_FIXES = 5;
// The owner that a system shows for unmapped users, as in containers.
const NOBODY = 65_534;
// Postgres runs as one of these where the service runs as root: see db/embedded-programs.ts.
const SERVER_USERS = new Set(["postgres", "x3sproxy-postgres", "nobody"]);

export async function checkDataFolder({ dataDir }: Config, findings: Findings): Promise<void> {
  let folder: string;
  try {
    folder = await realpath(dataDir);
    const user = await serviceUser(folder);
    await checkContent(folder, user, findings);
    await checkPlace(folder, user, findings);
  } catch (error) {
    const code = failureOf(error);
    for (const id of ["data-folder-content", "data-folder-place"]) {
      if (findings.has(id)) continue;
      if (code === "ENOENT") findings.ok("Files", id, "There is no data folder yet.");
      else findings.skip(id, `the data folder can't be looked at (${code})`);
    }
  }
}

/** The user that the service runs as. Undefined if root asks and the service isn't running. */
async function serviceUser(folder: string): Promise<number | undefined> {
  const own = process.getuid?.();
  if (own !== 0) return own;
  try {
    const pid = Number((await readFile(join(folder, "service.pid"), "utf8")).trim());
    return Number.isInteger(pid) ? (await stat(`/proc/${pid}`)).uid : undefined;
  } catch {
    return undefined; // it isn't running, or this system doesn't show processes
  }
}

async function checkContent(
  folder: string,
  user: number | undefined,
  findings: Findings,
): Promise<void> {
  const top = await stat(folder);
  const owner = user ?? top.uid;
  const problems: string[] = [];
  const fixes: string[] = [];
  // If we are not root, the folder's mode tells enough.
  if (top.uid !== owner && process.getuid?.() === 0) {
    problems.push(`the folder itself is of the user ${top.uid}, and the service runs as ${owner}`);
    fixes.push(`chown ${owner} ${quoted(folder)}`);
  }
  const names = await readdir(folder);
  for (const name of names.sort()) {
    const path = join(folder, name);
    const found = await lstat(path).catch(notThere);
    if (found === undefined) continue; // deleted since, as temporary files are
    if (found.isSymbolicLink()) {
      problems.push(`${name} is a link`);
      fixes.push(`put what ${quoted(path)} leads to in its place`);
    } else if (await isForeign(name, found, owner)) {
      problems.push(`${name} is of the user ${found.uid}`);
      fixes.push(`look at ${quoted(path)}, and take it away or: chown ${owner} ${quoted(path)}`);
    } else if ((found.mode & 0o022) !== 0) {
      problems.push(`others may write to ${name}`);
      fixes.push(`chmod go-w ${quoted(path)}`);
    }
  }
  if (problems.length === 0) {
    findings.ok("Files", "data-folder-content", "What is in the data folder is the service's own.");
    return;
  }
  findings.add("Files", "critical", "data-folder-content", {
    what: `In the data folder is what others made or can change: ${listed(problems)}.`,
    why: "Whoever made the folder, a file or a link in it before the service chooses what it reads there and where it writes keys to.",
    fix: fixes.slice(0, MOST_FIXES).join("; "),
  });
}

async function isForeign(name: string, found: Stats, owner: number): Promise<boolean> {
  if (found.uid === owner || found.uid === 0) return false;
  return !(name === "postgres" && owner === 0 && SERVER_USERS.has(await nameOf(found.uid)));
}

/** Whether another user could replace the folder. */
async function checkPlace(
  folder: string,
  user: number | undefined,
  findings: Findings,
): Promise<void> {
  const own = new Set([0, NOBODY, user ?? (await stat(folder)).uid]);
  const loose: string[] = [];
  for (let above = dirname(folder); ; above = dirname(above)) {
    const { uid, mode } = await stat(above);
    if (!own.has(uid)) loose.push(`${above} is of the user ${uid}`);
    else if ((mode & 0o002) !== 0 && (mode & STICKY) === 0) loose.push(`all may write to ${above}`);
    if (above === dirname(above)) break;
  }
  if (loose.length === 0) {
    findings.ok("Files", "data-folder-place", "Nobody else can replace the data folder.");
    return;
  }
  findings.add("Files", "warning", "data-folder-place", {
    what: `Others can put another folder in the data folder's place: ${listed(loose)}.`,
    why: "The next start would take what lies there.",
    fix: "Set X3SPROXY_DATA_DIR to a folder that lies in folders of root or of the service's user alone, as in /var/lib",
  });
}

async function nameOf(uid: number): Promise<string> {
  const lines = (await readFile("/etc/passwd", "utf8").catch(() => "")).split("\n");
  const line = lines.map((each) => each.split(":")).find(([, , id]) => id === String(uid));
  return line?.[0] ?? "";
}

function notThere(error: unknown): undefined {
  if (failureOf(error) !== "ENOENT") throw error;
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
