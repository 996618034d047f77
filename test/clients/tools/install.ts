// Command-line agents that the tests run as their users do. They are large (about 400 MB each), so they are no
// dependencies of the project: each has a package.json and a lock of its own here, and is installed when it is first needed.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Long enough for a slow line: on a fast one an installation takes five seconds. */
export const INSTALL_TIMEOUT_MS = 600_000;

/**
 * Installs the tool of that folder by `npm ci`, unless the locked version is there already. Gives the folder of the
 * package that holds the program for this machine; undefined when its makers offer none for this kind of machine. `native: false`: of
 * the package itself, whose program is JavaScript.
 */
export async function installTool(
  folder: string,
  packageName: string,
  { native = true }: { native?: boolean } = {},
): Promise<{ wrapper: string } | undefined> {
  const root = join(import.meta.dirname, folder);
  const wrapper = join(root, "node_modules", packageName);
  if ((await versionIn(wrapper)) !== (await lockedVersion(root, packageName))) {
    const npm = spawn("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const output = collect(npm);
    await once(npm, "close");
    if (npm.exitCode !== 0) throw new Error(`npm ci in ${folder} failed: ${output.stderr}`);
  }
  if (!native) return { wrapper };
  const siblings = await readdir(join(wrapper, ".."));
  const name = packageName.slice(packageName.indexOf("/") + 1);
  return siblings.some((sibling) => sibling.startsWith(`${name}-`)) ? { wrapper } : undefined;
}

export interface ToolRun {
  /** Ctrl-C. */
  interrupt(): void;
  /** Ends with the exit status and all that the tool wrote. */
  readonly ended: Promise<{ status: number | null; stdout: string; stderr: string }>;
}

/** Runs a tool's script under Node with exactly this environment (and PATH). */
export function runTool(
  script: string,
  args: readonly string[],
  options: { cwd: string; env: Readonly<Record<string, string>> },
): ToolRun {
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [script, ...args], {
    cwd: options.cwd,
    env: { PATH, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own, which can be signalled as a terminal does it.
    detached: true,
  });
  const output = collect(child);
  const ended = once(child, "close").then(() => ({ status: child.exitCode, ...output }));
  return {
    ended,
    interrupt() {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
    },
  };
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => (output[name] += text));
  }
  return output;
}

async function versionIn(folder: string): Promise<unknown> {
  const text = await readFile(join(folder, "package.json"), "utf8").catch(() => "{}");
  return (JSON.parse(text) as { version?: string }).version;
}

async function lockedVersion(root: string, packageName: string): Promise<unknown> {
  const text = await readFile(join(root, "package.json"), "utf8");
  return (JSON.parse(text) as { dependencies: Record<string, string> }).dependencies[packageName];
}
