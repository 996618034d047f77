// x3sproxy restore: a backup into an empty database, on the service's machine, with the service's settings.
import type { Command } from "commander";
import { examples, reports } from "./output.ts";
import type { RestoreOptions } from "./restore-file.ts";

export function addRestoreCommand(program: Command): void {
  reports(
    program
      .command("restore <file>")
      .description(
        "a backup into an empty database (DATABASE_URL, or a fresh data folder); stop the service before",
      )
      .option("--identity <file>", "the secret key of age that the backup is sealed to")
      .option("--passphrase", "asks for the backup's passphrase, or reads standard input")
      .option(
        "--agents-go-on",
        "let agents call at once, also with tokens that were revoked after the backup",
      )
      .addHelpText(
        "after",
        examples(
          "x3sproxy restore x3sproxy.age --identity key.txt",
          "DATABASE_URL=postgres://owner@db/fresh x3sproxy restore x3sproxy.age --passphrase",
        ),
      ),
    async ([path = ""], command) => {
      // Here and not above: the other commands don't need to load it.
      const { restoreFile } = await import("./restore-file.ts");
      return restoreFile(path, command.opts<RestoreOptions>());
    },
  );
}
