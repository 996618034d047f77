// Activity: what agents did in each minute, on whose behalf, and what needs attention.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { instant, text } from "./fields.ts";
import { nextCursor, pageParameters } from "./lists.ts";

const counts = { requests: z.number(), errors: z.number(), refusals: z.number() };

const overview = z.object({
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
export type Overview = z.infer<typeof overview>;

const context = z
  .record(z.string(), z.string())
  .describe("What the agent sent as x3sproxy-context-* headers, by name.");
const activity = z.object({
  minute: z.string(),
  agent: z.string(),
  /** Empty: the requests named no known provider. */
  provider: z.string(),
  requests: z.number(),
  status2xx: z.number(),
  status3xx: z.number(),
  status4xx: z.number(),
  status5xx: z.number(),
  refusals: z.number(),
  broken: z.number(),
  requestBytes: z.number(),
  responseBytes: z.number(),
  firstByteMsAverage: z.number().nullable(),
  totalMsAverage: z.number().nullable(),
  contexts: z
    .array(z.object({ context, requests: z.number() }))
    .describe("On whose behalf, as the agent said it: at most five, most requests first."),
});
export type Activity = z.infer<typeof activity>;

const callContext = z.object({
  minute: z.string(),
  agent: z.string(),
  provider: z.string().describe("Empty: the requests named no provider that there is."),
  context,
  requests: z.number(),
});
export type CallContext = z.infer<typeof callContext>;

const span = {
  from: instant.optional(),
  to: instant.optional().describe("Exclusive."),
  agent: text(63).optional(),
};

export const activityRoutes = {
  "GET /overview": {
    summary: "Tell what happened over a day or a week, and what needs attention",
    permission: "viewer",
    query: z.strictObject({ hours: z.enum(["24", "168"]).default("24") }),
    answer: z.object({ overview }),
  },

  "GET /activity": {
    summary: "List what agents did, by minute, agent and provider, newest first",
    permission: "viewer",
    query: z.strictObject({
      ...pageParameters,
      ...span,
      provider: text(63).optional(),
    }),
    answer: z.object({ activity: z.array(activity), nextCursor }),
  },

  "GET /contexts": {
    summary: "List on whose behalf agents made calls, by minute, agent and provider, newest first",
    description:
      "What agents said in `x3sproxy-context-*` headers, and in how many requests: at most five different ones a minute, agent and " +
      "provider. Kept for 35 days.",
    permission: "audit",
    query: z.strictObject({ ...pageParameters, ...span }),
    answer: z.object({ contexts: z.array(callContext), nextCursor }),
  },
} satisfies Routes;
export type ActivityRoutes = typeof activityRoutes;
