// x3sproxy workspace …: shows and changes its rules and limits. Only owners may change them.
import { Option, type Command } from "commander";
import type { Workspace } from "../contract/index.ts";
import {
  addLimitingOptions,
  inLines,
  limitLines,
  listLines,
  scopeOf,
  unlessOnly,
  type LimitingOptions,
} from "./agent-scope.ts";
import { call } from "./api.ts";
import { bytes, collect, orNone, positiveInteger, retentionDays } from "./arguments.ts";
import { Failure } from "./failure.ts";
import { examples, reports } from "./output.ts";

type Limit = number | "none";

interface Options {
  readonly name?: string;
  readonly requestsPerMinute?: Limit;
  readonly openStreams?: Limit;
  readonly openWebsockets?: Limit;
  readonly bytesPerMinute?: Limit;
  readonly unusedDays?: Limit;
  readonly auditRetention?: number | "forever";
  readonly rotationDays?: number;
  readonly idleDays?: number;
  readonly secondFactor?: "required" | "optional";
}

export function addWorkspaceCommands(program: Command): void {
  const workspace = program
    .command("workspace")
    .helpCommand(false)
    .description("the workspace's own rules, and the limits of all its agents together");

  reports(
    workspace
      .command("show")
      .description("its rules and limits")
      .addHelpText("after", examples("x3sproxy workspace show")),
    async () => {
      const { workspace: it } = await call("GET /workspace");
      return { json: it, text: describe(it) };
    },
  );

  addNewAgentsCommand(workspace);

  const set = workspace
    .command("set")
    .description("change them; what isn't named stays as it is")
    .option("--name <name>", "what it is called")
    .option(
      "--requests-per-minute <n>",
      "of all agents together, or `none`",
      orNone(positiveInteger),
    )
    .option("--open-streams <n>", "calls under way at once, or `none`", orNone(positiveInteger))
    .option("--open-websockets <n>", "WebSockets among them, or `none`", orNone(positiveInteger))
    .option(
      "--bytes-per-minute <n>",
      "of requests and answers together, as in 500MB, or `none`",
      orNone(bytes),
    )
    .option(
      "--unused-days <n>",
      "after which a token that nobody uses ends by itself, or `none`",
      orNone(positiveInteger),
    )
    .option(
      "--audit-retention <time>",
      "how long events of the audit are kept: soc2 (a year), hipaa (six), days as in 90d, or forever",
      retentionDays,
    )
    .option("--rotation-days <n>", "after which a key is due for another one", positiveInteger)
    .option(
      "--idle-days <n>",
      "after which an agent that did nothing counts as idle",
      positiveInteger,
    )
    .addOption(
      new Option("--second-factor <rule>", "whether users must have one").choices([
        "required",
        "optional",
      ]),
    )
    .addHelpText(
      "after",
      examples(
        "x3sproxy workspace set --requests-per-minute 600 --open-websockets 20",
        "x3sproxy workspace set --unused-days 30",
        "x3sproxy workspace set --bytes-per-minute none",
        "x3sproxy workspace set --audit-retention hipaa",
      ),
    );
  reports(set, async () => {
    const options = set.opts<Options>();
    const body = bodyOf(options);
    if (JSON.stringify(body) === '{"limits":{}}') {
      throw new Failure(
        "nothing_to_change",
        "Name what to change. See: x3sproxy workspace set --help",
      );
    }
    const { workspace: it } = await call("PATCH /workspace", { body });
    return { json: it, text: describe(it) };
  });
}

function bodyOf(options: Options) {
  const { name, rotationDays, idleDays, secondFactor, unusedDays, auditRetention } = options;
  const { requestsPerMinute, openStreams, openWebsockets, bytesPerMinute } = options;
  return {
    name,
    rotationDays,
    idleDays,
    unusedDays: nullFor(unusedDays),
    auditRetentionDays: auditRetention === "forever" ? null : auditRetention,
    secondFactorRequired: secondFactor === undefined ? undefined : secondFactor === "required",
    limits: {
      requestsPerMinute: nullFor(requestsPerMinute),
      openStreams: nullFor(openStreams),
      openWebsockets: nullFor(openWebsockets),
      bytesPerMinute: nullFor(bytesPerMinute),
    },
  };
}

function describe(it: Workspace): string {
  const lines: readonly (readonly [string, string])[] = [
    ["Requests a minute", String(it.limits.requestsPerMinute ?? "no limit")],
    ["Open streams", String(it.limits.openStreams ?? "no limit")],
    ["Open WebSockets", String(it.limits.openWebsockets ?? "no limit")],
    ["Bytes a minute", String(it.limits.bytesPerMinute ?? "no limit")],
    ["Unused tokens end", it.unusedDays === null ? "never" : `after ${it.unusedDays} days`],
    ["Keys are due", `after ${it.rotationDays} days`],
    ["Agents are idle", `after ${it.idleDays} days`],
    ["Second factor", it.secondFactorRequired ? "required" : "optional"],
    ["Audit is kept", retentionText(it)],
    ["All agents suspended", it.agentsSuspendedAt ?? "no"],
  ];
  return [
    `Workspace ${it.name}`,
    ...lines.map(([label, value]) => `${label.padEnd(22)}${value}`),
  ].join("\n");
}

function retentionText({ auditRetentionDays: days, auditRetentionFrom: from }: Workspace): string {
  const text = days === null ? "for ever" : `${days} days`;
  return from === null ? text : `${text}; as long as before until ${from}`;
}

function nullFor(limit: Limit | undefined): number | null | undefined {
  return limit === "none" ? null : limit;
}

// x3sproxy workspace new-agents: the most that new agents may get. Only admins and owners may change it.

export function addNewAgentsCommand(workspace: Command): void {
  const command = workspace
    .command("new-agents")
    .description("show, or change, what new agents get and may have at most")
    .option(
      "--environment <name>",
      "the only ones that they may be in, or `any`; repeatable",
      collect,
    )
    .addHelpText(
      "after",
      "\nWhat isn't named stays as it is, as do the agents that there are. More than this an agent gets from an admin alone.\n" +
        examples(
          "x3sproxy workspace new-agents",
          "x3sproxy workspace new-agents --environment staging --providers openai,anthropic",
          "x3sproxy workspace new-agents --template chat-only --requests-per-minute 60",
          "x3sproxy workspace new-agents --environment any --rule any",
        ),
    );
  reports(addLimitingOptions(command), async () => {
    const options = command.opts<LimitingOptions & { environment?: string[] }>();
    const { environment, ...limiting } = options;
    const { newAgents } = Object.keys(options).every((option) => option === "json")
      ? await call("GET /workspace/new-agents")
      : await call("PATCH /workspace/new-agents", {
          body: { ...(await scopeOf(limiting)), environments: unlessOnly("any", environment) },
        });
    const text = inLines([
      ["Environments", newAgents.environments],
      ...listLines(newAgents),
      ...limitLines(newAgents),
    ]);
    return { json: newAgents, text: `New agents\n${text}` };
  });
}
