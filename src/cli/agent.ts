// x3sproxy agent …: who may use the keys, and with which token.
import { Option, type Command } from "commander";
import type { Clock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import { commentOf, formatEnvironment, FORMATS, usable, type Format } from "./agent-environment.ts";
import { addRegistrationCommands } from "./agent-registrations.ts";
import { addScopeCommand, addScopeOptions, scopeOf, type ScopeOptions } from "./agent-scope.ts";
import { addSuspensionCommands } from "./agent-suspension.ts";
import { call, list } from "./api.ts";
import { lifeSeconds } from "./arguments.ts";
import { Failure, quoted } from "./failure.ts";
import { examples, print, relative, reports, table } from "./output.ts";
import { confirm } from "./prompt.ts";

interface DeployOptions extends ScopeOptions {
  readonly ttl?: number | "none";
}

export function addAgentCommands(program: Command, clock: Clock): void {
  const agent = program
    .command("agent")
    .helpCommand(false)
    .description("deploy agents: give them tokens, take them away");

  reports(
    addScopeOptions(
      agent
        .command("deploy <name>")
        .description("make or redeploy an agent: prints a new token, once, and ends the old one")
        .option(
          "--environment <name>",
          "whose keys it uses (at first: production, where new agents may be in it)",
        )
        .option(
          "--ttl <duration>",
          "how long the token lives, as in 12h, or `none` (at first: none)",
          lifeSeconds,
        )
        .addHelpText(
          "after",
          "\nA redeployment keeps what it isn't told to change, and leaves a suspended agent suspended. What a new agent gets: x3sproxy workspace new-agents\n" +
            examples(
              "x3sproxy agent deploy coder --providers anthropic,openai --ttl 12h",
              'eval "$(x3sproxy agent deploy coder)"',
              "x3sproxy agent deploy coder --json | jq -r .token",
            ),
        ),
      clock,
    ),
    async ([name = ""], command) => {
      const { ttl, ...scope } = command.opts<DeployOptions>();
      // Ask before the deployment: a failure after it would lose the token.
      const { providers: all } = await call("GET /providers");
      const deployment = await call("POST /agents/:name/deployments", {
        params: { name },
        body: { ttlSeconds: ttl === "none" ? null : ttl, ...(await scopeOf(scope)) },
        idempotencyKey: newId(),
      });
      const { agent, token, expiresAt, baseUrls } = deployment;
      const text = [
        commentOf(
          `Agent ${agent.name} (${agent.environment}), deployment ${agent.deployment}. ` +
            `Its token is shown only now${expiresAt === null ? "" : ` and ends ${expiresAt}`}.`,
        ),
        ...(agent.suspendedAt === null
          ? []
          : [commentOf(`It is suspended. To resume it: x3sproxy agent resume ${agent.name}`)]),
        `export X3SPROXY_TOKEN='${token}'`,
        formatEnvironment("shell", agent, usable(all, agent), token),
      ].join("\n");
      const { environment: deployedIn, deployment: number } = agent;
      return {
        json: {
          agent: agent.name,
          environment: deployedIn,
          deployment: number,
          token,
          expiresAt,
          suspendedAt: agent.suspendedAt,
          baseUrls,
        },
        text,
      };
    },
  );

  addScopeCommand(agent, clock);
  addSuspensionCommands(agent);
  addContextsCommand(agent, clock);
  addRegistrationCommands(agent, clock);

  reports(
    agent
      .command("list")
      .description("what agents there are")
      .addHelpText("after", examples("x3sproxy agent list")),
    async () => {
      const agents = await list("GET /agents", (page) => page.agents);
      const { workspace } = await call("GET /workspace");
      const { agentsSuspendedAt: allSuspendedAt } = workspace;
      const nowMs = clock.nowMs();
      const rows = agents.map((it) => [
        it.name,
        it.environment,
        it.suspendedAt === null && allSuspendedAt === null ? "active" : "suspended",
        it.providers === null ? "all" : it.providers.join(","),
        String(it.deployment),
        relative(it.deployedAt, nowMs),
        it.expiresAt === null ? "never" : relative(it.expiresAt, nowMs),
      ]);
      const headings = [
        "NAME",
        "ENVIRONMENT",
        "STATE",
        "PROVIDERS",
        "DEPLOYMENT",
        "DEPLOYED",
        "EXPIRES",
      ];
      const lines = [
        rows.length === 0 ? "No agents yet: x3sproxy agent deploy <name>" : table(headings, rows),
      ];
      if (allSuspendedAt !== null) {
        lines.push(
          "All agents of this workspace are suspended. Resume them with: x3sproxy agent resume --all",
        );
      }
      return { json: agents, text: lines.join("\n") };
    },
  );

  reports(
    agent
      .command("destroy <name>")
      .description("remove an agent; its token stops working at once")
      .option("--yes", "don't ask")
      .addHelpText("after", examples("x3sproxy agent destroy coder --yes")),
    async ([name = ""], command) => {
      const { yes } = command.opts<{ yes?: true }>();
      await confirm(`Destroy agent ${name}? Its token stops working at once.`, yes);
      const { agent } = await call("DELETE /agents/:name", { params: { name } });
      return { json: agent, text: `Destroyed agent ${agent.name}. Its token no longer works.` };
    },
  );

  agent
    .command("env <name>")
    .description(
      "what to set so that the agent's clients use the proxy (without the token: that is shown only at deploy)",
    )
    .addOption(new Option("--format <format>", "how").choices(FORMATS).default("shell"))
    .addHelpText(
      "after",
      examples(
        "x3sproxy agent env coder",
        "x3sproxy agent env coder --format k8s > agent-secret.yaml",
      ),
    )
    .action(async (name: string, { format }: { format: Format }) => {
      const agents = await list("GET /agents", (page) => page.agents);
      const found = agents.find((it) => it.name === name);
      if (found === undefined) {
        throw new Failure(
          "agent_not_found",
          `There is no agent ${quoted(name)}. See: x3sproxy agent list`,
        );
      }
      const { providers } = await call("GET /providers");
      await print(`${formatEnvironment(format, found, usable(providers, found))}\n`);
    });
}

// x3sproxy agent contexts: on whose behalf agents say that they made calls. For auditors and owners.

const DAY_S = 86_400;
const MOST = 200;

export function addContextsCommand(agent: Command, clock: Clock): void {
  const command = agent
    .command("contexts [name]")
    .description(
      `on whose behalf an agent, or all of them, made calls: the latest ${MOST} minutes with any`,
    )
    .option("--since <duration>", "how far back, as in 90m or 7d (a day)", lifeSeconds)
    .addHelpText(
      "after",
      "\nAgents say it in x3sproxy-context-… headers. It is their word, not a proof.\n" +
        examples("x3sproxy agent contexts coder", "x3sproxy agent contexts --since 7d --json"),
    );
  reports(command, async ([name]) => {
    const { since } = command.opts<{ since?: number | "none" }>();
    const nowMs = clock.nowMs();
    const fromMs = since === "none" ? undefined : nowMs - (since ?? DAY_S) * 1000;
    const { contexts } = await call("GET /contexts", {
      query: {
        limit: MOST,
        agent: name,
        from: fromMs === undefined ? undefined : new Date(fromMs).toISOString(),
      },
    });
    const rows = contexts.map(({ minute, agent: who, provider, context, requests }) => [
      relative(minute, nowMs),
      who,
      provider,
      String(requests),
      Object.entries(context)
        .map(([key, value]) => `${key}: ${value}`)
        .join(", "),
    ]);
    const text =
      rows.length === 0
        ? "No agent said on whose behalf it called."
        : table(["WHEN", "AGENT", "PROVIDER", "REQUESTS", "ON BEHALF OF"], rows);
    return { json: contexts, text };
  });
}
