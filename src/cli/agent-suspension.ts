// x3sproxy agent suspend and resume: for one agent, or for all agents of the workspace.
import type { Command } from "commander";
import { call, list } from "./api.ts";
import { examples, reports, type Outcome } from "./output.ts";
import { confirm } from "./prompt.ts";

interface Options {
  readonly all?: true;
  readonly yes?: true;
}

export function addSuspensionCommands(agent: Command): void {
  reports(
    agent
      .command("suspend [name]")
      .description("refuse an agent's calls and cut the open ones, within a second")
      .option("--all", "every agent of this workspace, and those to come")
      .option("--yes", "don't ask before all are suspended")
      .addHelpText(
        "after",
        "\nIts token stays, and a redeployment leaves it suspended, until it is resumed.\n" +
          examples("x3sproxy agent suspend coder", "x3sproxy agent suspend --all --yes"),
      ),
    async ([name], command) => {
      const { yes } = oneOrAll(name, command);
      if (name !== undefined) return suspendOne(name);
      // Suspending works even if the caller's limits are used up. A failed count of agents must not prevent it.
      const agents = await call("GET /agents", { query: { limit: 1 } }).then(
        ({ total }) => ` (${total})`,
        () => "",
      );
      await confirm(`Suspend all agents of this workspace${agents}? Open calls are cut.`, yes);
      const { workspace } = await call("POST /workspace/suspend");
      return {
        json: workspace,
        text: `All agents of workspace ${workspace.name}${agents} are suspended, and those to come.`,
      };
    },
  );

  reports(
    agent
      .command("resume [name]")
      .description("let a suspended agent go on, with the token that it has")
      .option("--all", "every agent that is not suspended by itself")
      .addHelpText("after", examples("x3sproxy agent resume coder", "x3sproxy agent resume --all")),
    async ([name], command) => {
      oneOrAll(name, command);
      if (name !== undefined) return resumeOne(name);
      const { workspace } = await call("POST /workspace/resume");
      const still = (await list("GET /agents", (page) => page.agents)).filter(
        (it) => it.suspendedAt !== null,
      ).length;
      const rest =
        still === 0
          ? ""
          : ` ${still} of them ${still === 1 ? "is suspended by itself and stays" : "are suspended by themselves and stay"} so.`;
      return {
        json: workspace,
        text: `The agents of workspace ${workspace.name} are resumed.${rest}`,
      };
    },
  );
}

async function suspendOne(name: string): Promise<Outcome> {
  const { agent } = await call("POST /agents/:name/suspend", { params: { name } });
  const text = `Agent ${agent.name} is suspended. Resume it with: x3sproxy agent resume ${agent.name}`;
  return { json: agent, text };
}

async function resumeOne(name: string): Promise<Outcome> {
  const { agent } = await call("POST /agents/:name/resume", { params: { name } });
  const { workspace } = await call("GET /workspace");
  const rest =
    workspace.agentsSuspendedAt === null
      ? ""
      : " But all agents of the workspace are suspended: x3sproxy agent resume --all";
  return { json: agent, text: `Agent ${agent.name} is resumed.${rest}` };
}

/** Checks that either a name or --all is given. Anything else is wrong usage. */
function oneOrAll(name: string | undefined, command: Command): Options {
  const options = command.opts<Options>();
  if ((name === undefined) === (options.all !== true)) {
    command.error("error: give the name of an agent, or --all", { exitCode: 2 });
  }
  return options;
}
