// x3sproxy backup: the whole instance in one encrypted file.
import { Option, type Command } from "commander";
import { collect } from "./arguments.ts";
import type { BackupOptions } from "./backup-file.ts";
import { examples, reports } from "./output.ts";

export function addBackupCommand(program: Command): void {
  reports(
    program
      .command("backup")
      .description(
        "the whole instance in one file, sealed as `age` does; the master key is not in it. For owners",
      )
      .requiredOption("--output <file>", "where to; nothing is overwritten before it is complete")
      .addOption(
        new Option(
          "--recipient <age1…>",
          "who can open it: a public key of age; can be given several times",
        ).argParser(collect),
      )
      .option(
        "--passphrase",
        "whoever knows a passphrase can open it: asks for it, or reads standard input",
      )
      .addHelpText(
        "after",
        examples(
          "x3sproxy backup --output x3sproxy.age --recipient age1…",
          "x3sproxy backup --output x3sproxy.age --passphrase",
        ),
      ),
    async (_args, command) => {
      // Imported here, since other commands don't need it.
      const { makeBackup } = await import("./backup-file.ts");
      return makeBackup(command.opts<BackupOptions>());
    },
  );
}
