// x3sproxy secret …: real keys, by provider and environment.
import type { Command } from "commander";
import type { Clock } from "../clock.ts";
import { answers, call, list, type SecretView } from "./api.ts";
import { examples, reports } from "./command.ts";
import { Failure, quoted } from "./failure.ts";
import { confirm, readSecret } from "./prompt.ts";
import { positiveInteger } from "./arguments.ts";
import { relative, table } from "./text.ts";

interface Where {
  readonly environment: string;
}

const ENVIRONMENT = ["--environment <name>", "which environment's key", "production"] as const;

export function addSecretCommands(program: Command, clock: Clock): void {
  const secret = program
    .command("secret")
    .helpCommand(false)
    .description("add, rotate and remove real provider keys");

  reports(
    secret
      .command("set <provider>")
      .description(
        "add a key, or replace it by a new version; the value is asked for or read from standard input",
      )
      .option(...ENVIRONMENT)
      .option("--label <text>", "a note on where the key comes from")
      .option(
        "--origin <url>",
        "where it goes, for providers without one address (azure-openai, bedrock)",
      )
      .addHelpText(
        "after",
        examples(
          "x3sproxy secret set anthropic",
          "x3sproxy secret set openai --environment staging < key.txt",
          "x3sproxy secret set azure-openai --origin https://my-resource.openai.azure.com",
        ),
      ),
    async ([provider = ""], command) => {
      const { environment, label, origin } = command.opts<
        Where & { label?: string; origin?: string }
      >();
      const value = await readSecret(`Key for ${provider} (${environment}), not shown: `);
      const { secret } = await call(answers.secret, "PUT", "/secrets", {
        provider,
        environment,
        label,
        origin,
        value,
      });
      const text = `Saved ${describe(secret)}. Version ${secret.version} is active; agents use it within a second.`;
      return { json: secret, text };
    },
  );

  reports(
    secret
      .command("list")
      .description("what keys there are; values are masked")
      .addHelpText("after", examples("x3sproxy secret list")),
    async () => {
      const secrets = await list("secrets");
      const rows = secrets.map((it) => [
        it.provider,
        it.environment,
        it.masked,
        String(it.version),
        relative(it.updatedAt, clock.nowMs()),
        it.label,
      ]);
      const headings = ["PROVIDER", "ENVIRONMENT", "KEY", "VERSION", "CHANGED", "LABEL"];
      const refused = secrets.flatMap((it) => refusedText(it, clock.nowMs()));
      const text =
        rows.length === 0
          ? "No keys yet: x3sproxy secret set <provider>"
          : [table(headings, rows), ...refused].join("\n");
      return { json: secrets, text };
    },
  );

  reports(
    secret
      .command("rollback <provider>")
      .description("make an earlier version active again")
      .option(...ENVIRONMENT)
      .option("--to <version>", "which version (default: the one before)", positiveInteger)
      .addHelpText(
        "after",
        examples("x3sproxy secret rollback openai", "x3sproxy secret rollback openai --to 3"),
      ),
    async ([provider = ""], command) => {
      const { environment, to } = command.opts<Where & { to?: number }>();
      const { id } = await find(provider, environment);
      const { secret } = await call(answers.secret, "POST", `/secrets/${id}/rollback`, {
        version: to,
      });
      return {
        json: secret,
        text: `Version ${secret.version} is active again: ${describe(secret)}.`,
      };
    },
  );

  reports(
    secret
      .command("delete <provider>")
      .description("remove a key and all its versions")
      .option(...ENVIRONMENT)
      .option("--yes", "don't ask")
      .addHelpText("after", examples("x3sproxy secret delete openai --environment staging --yes")),
    async ([provider = ""], command) => {
      const { environment, yes } = command.opts<Where & { yes?: true }>();
      const { id } = await find(provider, environment);
      await confirm(`Delete the key for ${provider} (${environment}) with all its versions?`, yes);
      const { secret } = await call(answers.secret, "DELETE", `/secrets/${id}`);
      return { json: secret, text: `Deleted ${describe(secret)}.` };
    },
  );
}

async function find(provider: string, environment: string): Promise<SecretView> {
  const secrets = await list("secrets");
  const found = secrets.find((it) => it.provider === provider && it.environment === environment);
  if (found === undefined) {
    throw new Failure(
      "secret_not_found",
      `There is no key for ${quoted(provider)} in ${quoted(environment)}. See: x3sproxy secret list`,
    );
  }
  return found;
}

/** A line, where its provider refuses it. */
function refusedText({ provider, environment, refusals }: SecretView, nowMs: number): string[] {
  if (refusals === null) return [];
  const { calls, agents, since } = refusals;
  const whose = agents === 1 ? "1 agent" : `${agents} agents`;
  return [
    `${provider}/${environment} refused ${calls} calls of ${whose}, the first ${relative(since, nowMs)}. ` +
      `Replace the key: x3sproxy secret set ${provider} --environment ${environment}`,
  ];
}

function describe(secret: SecretView): string {
  return `the key ${secret.masked} for ${secret.provider} (${secret.environment})`;
}
