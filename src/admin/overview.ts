// The overview: a day or a week of the workspace, and what needs attention.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ActivityViews } from "../activity/index.ts";
import { callerOf } from "./funnel.ts";
import { addRoute } from "./route.ts";

const counts = { requests: z.number(), errors: z.number(), refusals: z.number() };

const overviewView = z.object({
  from: z.string(),
  to: z.string(),
  stepSeconds: z.number(),
  totals: z.object({
    ...counts,
    activeStreams: z.number(),
    providers: z.number(),
    agents: z.number(),
  }),
  series: z.array(z.object({ at: z.string(), ...counts, activeStreams: z.number() })),
  byProvider: z
    .array(z.object({ provider: z.string(), ...counts }))
    .describe("The 200 with the most requests; `totals` says how many there are."),
  byAgent: z.array(z.object({ agent: z.string(), ...counts })).describe("The same by agent."),
  attention: z.array(
    z.object({
      kind: z.enum([
        "key_refused",
        "unusual_use",
        "rotation_due",
        "agent_idle",
        "token_unused",
        "refusals_rising",
      ]),
      subject: z.string(),
      since: z.string(),
      detail: z.string(),
    }),
  ),
  firstSteps: z
    .object({ key: z.boolean(), agent: z.boolean(), call: z.boolean() })
    .nullable()
    .describe(
      "Whether a provider has a key, an agent is deployed, and a call of one has arrived. Null for whoever is limited to some agents.",
    ),
});

export function addOverviewRoute(
  app: FastifyInstance,
  { activity }: { activity: ActivityViews },
): void {
  addRoute(app, {
    method: "GET",
    path: "/overview",
    summary: "Tell what happened over a day or a week, and what needs attention",
    permission: "viewer",
    query: z.strictObject({ hours: z.enum(["24", "168"]).default("24") }),
    answer: z.object({ overview: overviewView }),
    async handle({ query, request }) {
      const { workspaceId, agents } = callerOf(request);
      const hours = query.hours === "24" ? 24 : 168;
      return { overview: await activity.overview(workspaceId, hours, agents) };
    },
  });
}
