// x3sproxy workspace new-agents: what the workspace gives new agents at most. For admins to change.
import type { Command } from "commander";
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
import { collect } from "./arguments.ts";
import { examples, reports } from "./command.ts";

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
