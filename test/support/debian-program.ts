// Programs of Debian's that tests need: found where they are, installed where that can be done.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The path of the first of `names` that there is, installing `debianPackage` as root on Debian if there is none. */
export function findProgram(names: readonly string[], debianPackage: string): string {
  const found = find(names);
  if (found !== undefined) return found;
  if (existsSync("/etc/debian_version") && process.getuid?.() === 0) {
    const install = `apt-get -qq update && apt-get -qq install -y --no-install-recommends ${debianPackage}`;
    // One after the other: two test files may find it missing at once.
    execFileSync("flock", ["/tmp/x3sproxy-apt.lock", "sh", "-c", install], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const installed = find(names);
    if (installed !== undefined) return installed;
  }
  const wanted = names.join(" or ");
  throw new Error(
    `This test needs ${wanted}. Install it: sudo apt-get install -y ${debianPackage}`,
  );
}

function find(names: readonly string[]): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"];
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
}
