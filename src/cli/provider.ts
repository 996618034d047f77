// x3sproxy provider …: the providers that a workspace adds beside the built-in ones.
import type { Command } from "commander";
import { answers, call } from "./api.ts";
import { examples, reports } from "./command.ts";
import { confirm } from "./prompt.ts";
import { table } from "./text.ts";

export function addProviderCommands(program: Command): void {
  const provider = program
    .command("provider")
    .helpCommand(false)
    .description("list providers, add your own");

  reports(
    provider
      .command("add <name>")
      .description("add a provider, or change one that was added")
      .requiredOption("--origin <url>", "scheme, host and port of its API")
      .option("--header <name>", "header that takes its key", "authorization")
      .option("--scheme <word>", "word before the key, may be empty", "Bearer")
      .addHelpText(
        "after",
        "\nKeys are sealed for origin, header and scheme: when one of them changes, save the key again.\n" +
          examples(
            "x3sproxy provider add acme --origin https://api.acme.example",
            "x3sproxy provider add acme --origin https://api.acme.example --header x-api-key --scheme ''",
          ),
      ),
    async ([name = ""], command) => {
      const { origin, header, scheme } =
        command.opts<Record<"origin" | "header" | "scheme", string>>();
      const path = `/providers/${encodeURIComponent(name)}`;
      const { provider } = await call(answers.provider, "PUT", path, { origin, header, scheme });
      return {
        json: provider,
        text: `Added ${provider.name} at ${provider.origin}. Now its key: x3sproxy secret set ${provider.name}`,
      };
    },
  );

  reports(
    provider
      .command("list")
      .description("what providers there are, and where they have keys")
      .addHelpText("after", examples("x3sproxy provider list")),
    async () => {
      const { providers } = await call(answers.providers, "GET", "/providers");
      const rows = providers.map((it) => [
        it.name,
        it.kind,
        it.origin ?? "with each key",
        it.baseUrl,
        it.environments.join(",") || "-",
      ]);
      const headings = ["NAME", "KIND", "ORIGIN", "BASE URL FOR AGENTS", "KEYS IN"];
      return { json: providers, text: table(headings, rows) };
    },
  );

  reports(
    provider
      .command("remove <name>")
      .description("remove a provider that was added")
      .option("--yes", "don't ask")
      .addHelpText("after", examples("x3sproxy provider remove acme --yes")),
    async ([name = ""], command) => {
      const { yes } = command.opts<{ yes?: true }>();
      await confirm(`Remove provider ${name}? Agents can't reach it any more.`, yes);
      await call(answers.nothing, "DELETE", `/providers/${encodeURIComponent(name)}`);
      return { json: { name }, text: `Removed provider ${name}.` };
    },
  );
}
