// x3sproxy agent contexts: on whose behalf agents made calls, as they said it. For auditors and owners.
import type { Command } from "commander";
import type { Clock } from "../clock.ts";
import { call } from "./api.ts";
import { lifeSeconds } from "./arguments.ts";
import { examples, reports } from "./command.ts";
import { relative, table } from "./text.ts";

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
