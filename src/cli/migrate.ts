// x3sproxy migrate: brings the database to this version's schema, without serving.
import type { Command } from "commander";
import { readConfig } from "../platform/config.ts";
import { createLog, openLog } from "../platform/log.ts";
import { examples, reports } from "./output.ts";
import { exitOnSignals } from "./interruption.ts";

export function addMigrateCommand(program: Command): void {
  reports(
    program
      .command("migrate")
      .description(
        "bring the database (DATABASE_URL, or the embedded one) to this version; `serve` does it too",
      )
      .addHelpText("after", examples("DATABASE_URL=postgres://owner@db/x3sproxy x3sproxy migrate")),
    async () => {
      exitOnSignals();
      const config = readConfig();
      const { migrateOnly } = await import("../installation.ts");
      const log = createLog({
        level: config.logLevel,
        destination: openLog("stderr", config.logFormat),
      });
      const applied = await migrateOnly(config, log);
      const text = applied.length === 0 ? "Nothing to do." : `Applied ${applied.join(", ")}.`;
      return { json: { applied }, text };
    },
  );
}
