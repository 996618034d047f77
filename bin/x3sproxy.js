#!/usr/bin/env node
// The launcher. The service needs a newer Node than many machines have, so the project brings its own by npm;
// this file is plain JavaScript that any Node >= 20 can read. It must do nothing but find that Node.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const NEEDED_MAJOR = 24;

if (Number(process.versions.node.split(".")[0]) >= NEEDED_MAJOR) {
  const { main } = await import("../src/cli/main.ts");
  await main(process.argv.slice(2));
} else {
  const own = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
  if (!existsSync(own)) {
    console.error(
      `x3sproxy: needs Node ${NEEDED_MAJOR} or newer, this is ${process.version}. ` +
        "Run `npm ci` in the project's folder (it brings its own), or install a newer Node.",
    );
    process.exit(1);
  }
  const child = spawn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  // A terminal signals the whole group; a supervisor signals only this process.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
}
