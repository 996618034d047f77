// promtool, which knows what Prometheus takes: the machine's, or Debian's, fetched and unpacked into a folder of the run's own. Nothing
// is installed, since Debian's package would start a server.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const FETCH = "apt-get -qq download prometheus";
const UNPACK = `{ ${FETCH} || { apt-get -qq update && ${FETCH}; }; } && dpkg -x prometheus_*.deb .`;

export interface PromtoolResult {
  readonly status: number;
  /** Both of what it writes. */
  readonly output: string;
}

export interface Promtool {
  run(args: readonly string[], input?: string): Promise<PromtoolResult>;
  close(): Promise<void>;
}

export async function findPromtool(): Promise<Promtool> {
  const { PATH = "" } = process.env;
  const installed = PATH.split(delimiter)
    .map((folder) => join(folder, "promtool"))
    .find((path) => existsSync(path));
  if (installed !== undefined) return promtoolAt(installed, () => Promise.resolve());
  if (!existsSync("/etc/debian_version")) {
    throw new Error("These tests need promtool, which comes with Prometheus: put it on the PATH.");
  }
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-promtool-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await promisify(execFile)("sh", ["-c", UNPACK], { cwd: folder });
  } catch (error) {
    await remove();
    throw new Error("promtool can't be fetched. Install it: sudo apt-get install prometheus", {
      cause: error,
    });
  }
  return promtoolAt(join(folder, "usr/bin/promtool"), remove);
}

function promtoolAt(path: string, close: () => Promise<void>): Promtool {
  return {
    close,
    run: (args, input = "") =>
      new Promise((resolve) => {
        const child = execFile(path, args, (error, stdout, stderr) => {
          const status = error === null ? 0 : Number(error.code);
          resolve({ status, output: stdout + stderr });
        });
        child.stdin?.end(input);
      }),
  };
}
