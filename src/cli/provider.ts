// x3sproxy provider …: the providers that a workspace adds beside the built-in ones.
import type { Command } from "commander";
import { call } from "./api.ts";
import { examples, reports, table } from "./output.ts";
import { confirm } from "./prompt.ts";

interface Place {
  readonly name: string;
  readonly origin: string | null;
  readonly header: string;
  readonly scheme: string;
}

function describePut(
  now: Place,
  before: (Place & { readonly environments: readonly string[] }) | undefined,
): string {
  const { name, origin, header, scheme } = now;
  const set = `x3sproxy secret set ${name}`;
  if (before === undefined) return `Added ${name} at ${origin}. Now its key: ${set}`;
  const place = (it: Place) => JSON.stringify([it.origin, it.header, it.scheme]);
  if (place(now) === place(before)) return `${name} is as it was, at ${origin}.`;
  const takes = `${header}: ${scheme === "" ? "" : `${scheme} `}…`;
  const again = before.environments.map((it) => `\n  ${set} --environment ${it}`).join("");
  return (
    `Changed ${name}: at ${origin}, its key in ${takes}` +
    (again &&
      `\nKeys that were saved before go nowhere else. Until they are saved again, calls get 403:${again}`)
  );
}

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
      const { providers } = await call("GET /providers");
      const before = providers.find((it) => it.name === name && it.kind === "custom");
      const { provider } = await call("PUT /providers/:name", {
        params: { name },
        body: { origin, header, scheme },
      });
      return { json: provider, text: describePut(provider, before) };
    },
  );

  reports(
    provider
      .command("list")
      .description("what providers there are, and where they have keys")
      .addHelpText("after", examples("x3sproxy provider list")),
    async () => {
      const { providers } = await call("GET /providers");
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
      const { providers } = await call("GET /providers");
      await call("DELETE /providers/:name", { params: { name } });
      const keysIn = providers.find((it) => it.name === name)?.environments ?? [];
      const keys = keysIn.map((it) => `\n  x3sproxy secret delete ${name} --environment ${it}`);
      const stay =
        keys.length === 0
          ? ""
          : ` ${keys.length === 1 ? "Its key stays" : "Its keys stay"}, sealed and of no use. To delete what stays:${keys.join("")}`;
      return { json: { name, keysIn }, text: `Removed provider ${name}.${stay}` };
    },
  );
}
