// The command line: its subcommands, and the exit status for each way to end. Standard output must get only a command's result.
import { Command, CommanderError } from "commander";
import { readFileSync } from "node:fs";
import { systemClock } from "../platform/clock.ts";
import { addAgentCommands } from "./agent.ts";
import { addAuditCommands, addAuditErasure } from "./audit.ts";
import { addBackupCommand } from "./backup.ts";
import { addDoctorCommand } from "./doctor.ts";
import { describeError, Failure, maskArguments } from "./failure.ts";
import { addExecCommand } from "./exec.ts";
import { addMasterKeyCommands } from "./master-key.ts";
import { addMigrateCommand } from "./migrate.ts";
import { OutputLost, print, watchOutput } from "./output.ts";
import { addProviderCommands } from "./provider.ts";
import { addRegisterCommand } from "./register.ts";
import { addRestoreCommand } from "./restore.ts";
import { addSecretCommands } from "./secret.ts";
import { addServeCommand } from "./serve.ts";
import { addUserCommands } from "./user.ts";
import { addWorkspaceCommands } from "./workspace.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** Failures whose cause is a wrong combination of options. They count as wrong usage. */
const USAGE_CODES = new Set(["usage", "nothing_to_change", "recipient_invalid"]);

const EXAMPLES = `
To begin with:
  $ npx x3sproxy serve                    start the service (the same as npm start)
  $ npx x3sproxy secret set openai        add a real key: asks for it, or reads standard input
  $ npx x3sproxy agent deploy my-agent    get a token for an agent, and what to set there

Settings of the client commands:
  X3SPROXY_ADMIN_URL   where the admin API is (http://127.0.0.1:8788)
  X3SPROXY_API_KEY     key for it (the service of the data folder needs neither)`;

/** Runs one command line (without `node` and the script). Sets the exit status: 0 done, 1 refused or failed, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<void> {
  // A diagnostic report would write the environment, with the master key and the database's URL, to the disk.
  process.report.excludeEnv = true;
  watchOutput();
  let help = "";
  const program = new Command("x3sproxy")
    .description("Keeps real LLM provider keys out of agents.")
    .version(version())
    .helpCommand(false)
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    // An argument may be a key that was typed by mistake.
    .configureOutput({
      writeOut: (text) => (help += text),
      outputError: (text, write) => write(maskArguments(text)),
    });
  addServeCommand(program);
  addMigrateCommand(program);
  addSecretCommands(program, systemClock);
  addAgentCommands(program, systemClock);
  addExecCommand(program, systemClock);
  addRegisterCommand(program);
  addProviderCommands(program);
  addUserCommands(program, systemClock);
  addWorkspaceCommands(program);
  addAuditCommands(program);
  addAuditErasure(program);
  addBackupCommand(program);
  addRestoreCommand(program);
  addDoctorCommand(program, systemClock);
  addMasterKeyCommands(program);
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    process.exitCode = await end(error, { help, json: ownOf(argv).includes("--json") });
  }
}

/** The arguments before `--`. Those after it belong to another command. */
function ownOf(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return end < 0 ? argv : argv.slice(0, end);
}

/** Reports how the command ended. `help`: the help text, if that was asked for. */
async function end(error: unknown, o: { help: string; json: boolean }): Promise<number> {
  try {
    if (error instanceof OutputLost) throw error;
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) {
        await print(o.help);
        return 0;
      }
      if (o.json) await printError("usage", "Wrong usage: see standard error.");
      return EXIT_USAGE;
    }
    const description = describeError(error);
    complain(description);
    const code = error instanceof Failure ? error.code : "failed";
    if (o.json) await printError(code, description);
    if (USAGE_CODES.has(code)) return EXIT_USAGE;
  } catch (lost) {
    if (!(lost instanceof OutputLost)) throw lost;
    if (!lost.isClosedPipe) complain(lost.message);
  }
  return EXIT_FAILED;
}

function complain(sentence: string): void {
  process.stderr.write(`x3sproxy: ${sentence}\n`);
}

function printError(code: string, message: string): Promise<void> {
  return print(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
}

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
