// What a change of an agent's scope would have refused of its last day. Changes nothing.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ScopeTrials } from "../agents/index.ts";
import type { CallViews } from "../activity/index.ts";
import { scopeParts } from "./agent-scope.ts";
import { callerOf } from "./funnel.ts";
import { agentName, time } from "./names.ts";
import { addRoute } from "./route.ts";

const MAX_EXAMPLES = 20;

const dryRunView = z.object({
  from: time.describe("Calls count from here on: 24 hours, from the beginning of an hour."),
  to: time,
  calls: z.number().describe("That went up: what was refused then is not among them."),
  refused: z.number(),
  unknown: z
    .number()
    .describe("Of which it can't be told: their paths were too many, too long, or not to be kept."),
  judged: z
    .object({ models: z.literal(false), limits: z.literal(false) })
    .describe("Which model a call was for, and how many there were at once, is not recorded."),
  byReason: z.array(z.object({ reason: z.string(), calls: z.number() })),
  examples: z.array(
    z.object({
      method: z.string(),
      provider: z.string(),
      path: z.string().describe("Empty: not known."),
      address: z.string().describe("Empty: not known."),
      reason: z.string(),
      calls: z.number(),
    }),
  ),
});
type DryRun = z.input<typeof dryRunView>;

export function addDryRunRoute(
  app: FastifyInstance,
  { scopeTrials, calls }: { scopeTrials: ScopeTrials; calls: CallViews },
): void {
  addRoute(app, {
    method: "POST",
    path: "/agents/:name/scope/dry-run",
    summary: "Tell what a change of an agent's scope would have refused of its last day",
    description:
      "Takes what `PATCH /agents/:name/scope` takes but the environment, and changes nothing. The calls that went up are judged as if they came now, by " +
      "the code that judges calls; models and limits can't be judged.",
    permission: "admin",
    params: z.object({ name: agentName }),
    unknown: "agent_not_found",
    body: z.strictObject(scopeParts),
    example: { rules: ["POST /anthropic/v1/messages"] },
    answer: z.object({ dryRun: dryRunView }),
    async handle({ params, body, request }) {
      const { workspaceId } = callerOf(request);
      const trial = await scopeTrials.begin(workspaceId, params.name, body);
      const { from, to, counts } = await calls.lastDay(workspaceId, trial.agentId);
      const byReason = new Map<string, number>();
      const examples: DryRun["examples"] = [];
      let [all, refused, unknown] = [0, 0, 0];
      for (const { calls: count, ...call } of counts) {
        const reason = trial.judge(call);
        all += count;
        if (reason === "unknown") unknown += count;
        if (reason === undefined || reason === "unknown") continue;
        refused += count;
        byReason.set(reason, (byReason.get(reason) ?? 0) + count);
        if (examples.length < MAX_EXAMPLES) examples.push({ ...call, reason, calls: count });
      }
      const dryRun: DryRun = {
        ...{ from, to, calls: all, refused, unknown },
        judged: { models: false, limits: false },
        byReason: [...byReason]
          .map(([reason, count]) => ({ reason, calls: count }))
          .sort((a, b) => b.calls - a.calls),
        examples,
      };
      return { dryRun };
    },
  });
}
