// x3sproxy exec: runs a command as an agent, with a token that lives as long as the command does.
import type { Command } from "commander";
import type { Clock } from "../platform/clock.ts";
import { environment, readClientConfig } from "../platform/config.ts";
import type { Provider } from "../contract/index.ts";
import { holdsProvidersKey, isKeyVariable } from "../providers/index.ts";
import { environmentOf, usable } from "./agent-environment.ts";
import { call } from "./api.ts";
import { providerList } from "./arguments.ts";
import { runChild } from "./child.ts";
import { Failure, printable, quoted } from "./failure.ts";
import { takeLease, type Lease } from "./lease.ts";
import { examples } from "./output.ts";

export function addExecCommand(program: Command, clock: Clock): void {
  program
    .command("exec <agent> <command> [args...]")
    .usage("[options] <agent> -- <command> [args...]")
    .description(
      "run a command as an agent: with a token that ends with it, and what its clients need set",
    )
    .option(
      "--providers <a,b>",
      "set the variables of these only (the token's scope is the agent's)",
      providerList,
    )
    .addHelpText(
      "after",
      "\nSets each provider's base URL and key variable, X3SPROXY_TOKEN and X3SPROXY_URL. Real keys and x3sproxy's own settings are\n" +
        "not passed on. The exit status is the command's; 1 when no token could be had.\n" +
        examples(
          "x3sproxy exec coder -- claude",
          "x3sproxy exec coder --providers openai -- codex exec 'explain this folder'",
        ),
    )
    .action(
      async (
        name: string,
        command: string,
        args: string[],
        options: { providers?: string[] | "all" },
      ) => {
        // Ask before the lease: a failure after it would leave a lease behind.
        const { providers: all } = await call("GET /providers");
        const lease = await takeLease(name, { clock, warn: say });
        process.exitCode = await run(lease, all, options.providers, [command, ...args]).finally(
          () => lease.end(),
        );
      },
    );
}

async function run(
  lease: Lease,
  all: readonly Provider[],
  wanted: string[] | "all" | undefined,
  [command = "", ...args]: readonly string[],
): Promise<number> {
  const { variables, removed } = execEnvironment(environment(), {
    usable: choose(lease, usable(all, lease.agent), wanted),
    all,
    token: lease.token,
    url: urlOf(lease),
  });
  if (removed.length > 0) say(`Not passed on: ${removed.join(", ")}.`);
  const { status, problem } = await runChild(command, args, variables);
  if (problem !== undefined) say(problem);
  return status;
}

function choose(
  { agent }: Lease,
  can: readonly Provider[],
  wanted: string[] | "all" | undefined,
): readonly Provider[] {
  const chosen = Array.isArray(wanted) ? can.filter(({ name }) => wanted.includes(name)) : can;
  const missing = Array.isArray(wanted)
    ? wanted.find((name) => !chosen.some((provider) => provider.name === name))
    : undefined;
  if (missing !== undefined) {
    throw new Failure(
      "provider_not_usable",
      `Agent ${agent.name} can't use ${quoted(missing)}: it may not, or there is no key for it in ${agent.environment}.`,
    );
  }
  if (chosen.length === 0) {
    say(`There is no key in ${agent.environment} that agent ${agent.name} may use yet.`);
  }
  return chosen;
}

/** The data plane's URL, taken from a provider's base URL. */
function urlOf({ baseUrls }: Lease): string {
  const [first] = Object.entries(baseUrls);
  if (first === undefined) return readClientConfig().publicUrl;
  const [name, url] = first;
  return url.slice(0, url.length - name.length - 1);
}

function say(sentence: string): void {
  process.stderr.write(`x3sproxy: ${printable(sentence)}\n`);
}

// The environment of a command that runs with a lease: the inherited one, with the agent's variables, and without any other credential
// (found by its name or its form). Pure.

export interface ExecEnvironment {
  readonly variables: NodeJS.ProcessEnv;
  /** The names of inherited variables that are not passed on, which users may not expect. */
  readonly removed: readonly string[];
}

/** Credentials of the service itself. They are removed without a message. */
const OURS = "X3SPROXY_";
const STORES: ReadonlySet<string> = new Set([
  ...["DATABASE_URL", "DATABASE_URL_FILE", "PGPASSWORD"],
  ...["REDIS_URL", "REDIS_URL_FILE"],
]);

/** `usable`: the providers whose variables are set. `all`: those whose variables are known. */
export function execEnvironment(
  inherited: NodeJS.ProcessEnv,
  o: {
    usable: readonly Provider[];
    all: readonly Provider[];
    token: string;
    url: string;
  },
): ExecEnvironment {
  const own = environmentOf(o.usable, o.token).set("X3SPROXY_TOKEN", o.token);
  own.set("X3SPROXY_URL", o.url);
  const keys = new Set(
    o.all.flatMap(({ client }) => (client === null ? [] : [client.keyVariable])),
  );
  const isForeign = ([name, value = ""]: readonly [string, string | undefined]): boolean =>
    !own.has(name) &&
    (keys.has(name) || STORES.has(name) || isKeyVariable(name) || holdsProvidersKey(value));
  const theirs = Object.entries(inherited).filter(([name]) => !name.startsWith(OURS));
  const kept = theirs.filter((each) => !isForeign(each));
  const removed = theirs.filter(isForeign).map(([name]) => name);
  return {
    variables: { ...Object.fromEntries(kept), ...Object.fromEntries(own) },
    removed: removed.sort(),
  };
}
