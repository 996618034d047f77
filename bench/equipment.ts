// What the bench needs on the machine: Debian's nginx, HAProxy and C compiler, and the npm packages of bench/. Installs what
// is missing as root, otherwise says the one command.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** Program → Debian package. */
const PROGRAMS: Readonly<Record<string, string>> = {
  nginx: "nginx-light",
  haproxy: "haproxy",
  gcc: "gcc",
  taskset: "util-linux",
  setpriv: "util-linux",
};
const COMPILER_NEEDS = ["gcc", "libc6-dev"];

/** Something is missing that the bench can't get by itself. The message says what to type. */
export class MissingEquipment extends Error {}

/** Brings what is missing. Throws MissingEquipment. */
export function bringEquipment(): void {
  if (process.platform !== "linux" || cpus().length < 2) {
    throw new MissingEquipment("the bench needs Linux and two cores");
  }
  // Debian keeps servers where only root's PATH leads.
  process.env["PATH"] = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const missing = Object.keys(PROGRAMS).filter(
    (name) => spawnSync(name, ["-v"]).error !== undefined,
  );
  const packages = new Set(
    missing.flatMap((name) => (name === "gcc" ? COMPILER_NEEDS : [PROGRAMS[name] ?? name])),
  );
  if (packages.size > 0) install([...packages]);
  if (!existsSync(join(HERE, "node_modules"))) {
    execFileSync("npm", ["ci", "--prefix", HERE, "--silent"], { stdio: "inherit" });
  }
}

function install(packages: readonly string[]): void {
  const command = `apt-get install --yes --no-install-recommends ${packages.join(" ")}`;
  if (process.getuid?.() !== 0) throw new MissingEquipment(`first type: sudo ${command}`);
  // A service that Debian starts by itself would take part in the measuring.
  const shell = `printf '#!/bin/sh\\nexit 101\\n' > "$rc" && chmod +x "$rc"`;
  const policy = "/usr/sbin/policy-rc.d";
  const had = existsSync(policy);
  const script = [
    "set -e",
    `rc=${policy}`,
    ...(had ? [] : [shell, "trap 'rm -f \"$rc\"' EXIT"]),
    "apt-get update",
    command,
  ].join("\n");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status } = spawnSync("sh", ["-c", script], {
    stdio: ["ignore", "ignore", "inherit"],
    env,
  });
  if (status !== 0) throw new MissingEquipment(`this did not work: ${command}`);
}

/** Compiles the load and the upstream into a folder; gives their paths. */
export function compileLoad(folder: string): { client: string; upstream: string } {
  const compile = (name: string): string => {
    const program = join(folder, name);
    const source = join(HERE, "load", `${name}.c`);
    execFileSync("gcc", ["-O2", "-Wall", "-Wextra", "-o", program, source, "-lm"], {
      stdio: "inherit",
    });
    return program;
  };
  return { client: compile("client"), upstream: compile("upstream") };
}

/** What the figures depend on. */
export function describeMachine(): Record<string, string> {
  const first = (command: string, args: string[]): string => {
    const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
    return `${stdout}${stderr}`.split("\n")[0]?.trim() ?? "";
  };
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: String(cpus().length),
    kernel: first("uname", ["-r"]),
    node: process.version,
    nginx: first("nginx", ["-v"]).replace(/^nginx version: /, ""),
    haproxy: first("haproxy", ["-v"]).replace(/ 20.*$/, ""),
  };
}
