// x3sproxy agent scope: what an agent may do. Also the same options of a deployment.
import { Option, type Command } from "commander";
import type { Clock } from "../platform/clock.ts";
import type { DeployedAgent, DryRun } from "../contract/index.ts";
import { call, list } from "./api.ts";
import { bytes, collect, moment, orNone, positiveInteger, providerList } from "./arguments.ts";
import { Failure, quoted } from "./failure.ts";
import { examples, reports, table } from "./output.ts";

/** What limits an agent, or each new one. */
export interface LimitingOptions {
  readonly providers?: string[] | "all";
  readonly rule?: string[];
  readonly template?: string;
  readonly address?: string[];
  readonly model?: string[];
  readonly requestsPerMinute?: number | "none";
  readonly openStreams?: number | "none";
  readonly bytesPerMinute?: number | "none";
}

export interface ScopeOptions extends LimitingOptions {
  readonly environment?: string;
  readonly allowEndpoint?: string[];
  readonly scopeExpires?: string;
}

/** Adds the options; `scopeOf` reads them. */
export function addScopeOptions(command: Command, clock: Clock): Command {
  return addLimitingOptions(command)
    .option(
      "--allow-endpoint <provider:name>",
      "a sensitive endpoint that it may call, or `none`; repeatable",
      collect,
    )
    .option(
      "--scope-expires <when>",
      "when all of it ends, as in 30d or 2027-01-31T12:00:00Z, or `never`",
      moment(clock),
    );
}

export function addLimitingOptions(command: Command): Command {
  return command
    .option("--providers <a,b>", "the only providers that it may use, or `all`", providerList)
    .option(
      "--rule <METHOD /provider/path>",
      "the only calls that it may make, `*` and `**` standing for anything, `!` before one that it may not, or `any`; repeatable",
      collect,
    )
    .addOption(
      new Option(
        "--template <name>",
        "rules to begin with: chat-only, embeddings-only, everything-but-files-and-admin",
      ).conflicts("rule"),
    )
    .option(
      "--address <block>",
      "the only addresses that it may call from, as in 10.0.0.0/8, or `any`; repeatable",
      collect,
    )
    .option(
      "--model <name>",
      "the only models that it may use, as in 'claude-*', or `any`; repeatable",
      collect,
    )
    .option("--requests-per-minute <n>", "at most, or `none`", orNone(positiveInteger))
    .option(
      "--open-streams <n>",
      "calls under way at once, at most, or `none`",
      orNone(positiveInteger),
    )
    .option(
      "--bytes-per-minute <n>",
      "of requests and answers together, at most, as in 20MB, or `none`",
      orNone(bytes),
    );
}

/**
 * The part of a request body that follows from the options; undefined for those that are not given. Throws Failure for an unknown
 * template.
 */
export async function scopeOf(options: ScopeOptions) {
  const { environment, providers, rule, template, allowEndpoint, address, model, scopeExpires } =
    options;
  const { requestsPerMinute, openStreams, bytesPerMinute } = options;
  return {
    environment,
    providers: providers === "all" ? null : providers,
    rules: template === undefined ? unlessOnly("any", rule) : await rulesOf(template),
    allowedEndpoints: unlessOnly("none", allowEndpoint) ?? (allowEndpoint && []),
    addresses: unlessOnly("any", address),
    models: unlessOnly("any", model),
    scopeExpiresAt: scopeExpires === "never" ? null : scopeExpires,
    limits: {
      requestsPerMinute: requestsPerMinute === "none" ? null : requestsPerMinute,
      openStreams: openStreams === "none" ? null : openStreams,
      bytesPerMinute: bytesPerMinute === "none" ? null : bytesPerMinute,
    },
  };
}

export function addScopeCommand(agent: Command, clock: Clock): void {
  const command = agent
    .command("scope <name>")
    .description("show, or change at once and without a new token, what an agent may do")
    .addHelpText(
      "after",
      "\nWhat isn't named stays as it is. An agent may do all that no option limits.\n" +
        examples(
          "x3sproxy agent scope coder",
          "x3sproxy agent scope coder --rule 'POST /anthropic/v1/messages' --model 'claude-*'",
          "x3sproxy agent scope coder --rule '* /**' --rule '!* /openai/v1/files/**'",
          "x3sproxy agent scope coder --template chat-only",
          "x3sproxy agent scope coder --address 10.0.0.0/8 --requests-per-minute 60",
          "x3sproxy agent scope coder --rule any --model any",
          "x3sproxy agent scope coder --environment staging",
          "x3sproxy agent scope coder --rule 'POST /anthropic/v1/messages' --dry-run",
        ),
    )
    .addOption(new Option("--environment <name>", "whose keys it uses").conflicts("dryRun"))
    .option("--dry-run", "change nothing: tell which calls of the last day it would have refused");
  reports(addScopeOptions(command, clock), async ([name = ""]) => {
    const { dryRun, ...options } = command.opts<ScopeOptions & { dryRun?: true }>();
    if (dryRun === true) {
      const { dryRun: found } = await call("POST /agents/:name/scope/dry-run", {
        params: { name },
        body: await scopeOf(options),
      });
      return { json: found, text: describeDryRun(found) };
    }
    const agent = Object.keys(options).every((option) => option === "json")
      ? await find(name)
      : (
          await call("PATCH /agents/:name/scope", {
            params: { name },
            body: await scopeOf(options),
          })
        ).agent;
    return { json: agent, text: describe(agent) };
  });
}

async function rulesOf(template: string): Promise<string[]> {
  const { templates } = await call("GET /scope-templates");
  const found = templates.find(({ name }) => name === template);
  if (found !== undefined) return found.rules;
  throw new Failure(
    "template_not_found",
    `There is no template ${quoted(template)}. There are: ${templates.map(({ name }) => name).join(", ")}`,
  );
}

async function find(name: string): Promise<DeployedAgent> {
  const found = (await list("GET /agents", (page) => page.agents)).find(
    (agent) => agent.name === name,
  );
  if (found !== undefined) return found;
  throw new Failure(
    "agent_not_found",
    `There is no agent ${quoted(name)}. See: x3sproxy agent list`,
  );
}

type Line = readonly [label: string, values: readonly string[] | null];

function describe(agent: DeployedAgent): string {
  const text = inLines([
    ["Environment", [agent.environment]],
    ...listLines(agent),
    ["Sensitive endpoints", agent.allowedEndpoints],
    ["Scope ends", [agent.scopeExpiresAt ?? "never"]],
    ...limitLines(agent),
  ]);
  return `Agent ${agent.name}\n${text}`;
}

type Limiting = Pick<DeployedAgent, "providers" | "rules" | "models" | "addresses" | "limits">;

export function listLines({ providers, rules, models, addresses }: Limiting): Line[] {
  return [
    ["Providers", providers],
    ["Rules", rules],
    ["Models", models],
    ["Addresses", addresses],
  ];
}

export function limitLines({ limits }: Limiting): Line[] {
  return [
    ["Requests a minute", [String(limits.requestsPerMinute ?? "no limit")]],
    ["Open streams", [String(limits.openStreams ?? "no limit")]],
    ["Bytes a minute", [String(limits.bytesPerMinute ?? "no limit")]],
  ];
}

/** One line for each label, or for each value of a list. Null: any. */
export function inLines(lines: readonly Line[]): string {
  return lines
    .map(
      ([label, values]) =>
        `${label.padEnd(21)}${values === null ? "any" : values.join(`\n${" ".repeat(21)}`) || "none"}`,
    )
    .join("\n");
}

/** The list, or null (not limited) if its only entry is `word`. */
export function unlessOnly(word: string, list: string[] | undefined): string[] | null | undefined {
  return list?.length === 1 && list[0] === word ? null : list;
}

// The result of a dry run, as text for people.

const number = new Intl.NumberFormat("en");

/** A sentence, and a table of the calls that would have been refused. */
export function describeDryRun({ from, calls, refused, unknown, examples }: DryRun): string {
  const of = (count: number): string => number.format(count);
  const verdict =
    calls === 0
      ? `There were no calls since ${from} to try it on.`
      : `This scope would have refused ${of(refused)} of ${of(calls)} calls since ${from}.`;
  const doubt =
    unknown === 0 ? [] : [`Of ${of(unknown)} it can't be told: their paths were not kept.`];
  const lines = [verdict, ...doubt, "Models and limits are not judged. Nothing was changed."];
  if (examples.length === 0) return lines.join("\n");
  const rows = examples.map((it) => [
    of(it.calls),
    it.method,
    `/${it.provider}${it.path === "" ? "/…" : it.path}`,
    it.address === "" ? "?" : it.address,
    it.reason,
  ]);
  return `${lines.join("\n")}\n\n${table(["CALLS", "METHOD", "PATH", "FROM", "REASON"], rows)}`;
}
