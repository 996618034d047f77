// What agents did, minute by minute, and on whose behalf.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ActivityRow, ActivityViews, CallViews, ContextUse } from "../activity/index.ts";
import { callerOf } from "./funnel.ts";
import { instant, text } from "./names.ts";
import { createPaging, nextCursor, pageParameters } from "./paging.ts";
import { addRoute } from "./route.ts";

const context = z
  .record(z.string(), z.string())
  .describe("What the agent sent as x3sproxy-context-* headers, by name.");
const activityView = z.object({
  minute: z.string(),
  agent: z.string(),
  /** Empty: the requests named no provider that there is. */
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

const contextView = z.object({
  minute: z.string(),
  agent: z.string(),
  provider: z.string().describe("Empty: the requests named no provider that there is."),
  context,
  requests: z.number(),
});

const contextPages = createPaging(
  "contexts",
  z.tuple([instant, z.string(), z.string(), z.string()]),
  ({ minute, agent, provider, hash }: ContextUse) => [minute, agent, provider, hash],
);

const pages = createPaging(
  "activity",
  z.tuple([instant, z.string(), z.string()]),
  ({ minute, agent, provider }: ActivityRow) => [minute, agent, provider],
);

const span = {
  from: instant.optional(),
  to: instant.optional().describe("Exclusive."),
  agent: text(63).optional(),
};

export function addActivityRoutes(
  app: FastifyInstance,
  { activity, calls }: { activity: ActivityViews; calls: CallViews },
): void {
  addRoute(app, {
    method: "GET",
    path: "/activity",
    summary: "List what agents did, by minute, agent and provider, newest first",
    permission: "viewer",
    query: z.strictObject({
      ...pageParameters,
      ...span,
      provider: text(63).optional(),
    }),
    answer: z.object({ activity: z.array(activityView), nextCursor }),
    async handle({ query: { from, to, agent, provider, ...page }, request }) {
      const { workspaceId, agents } = callerOf(request);
      const filter = { from: dateOf(from), to: dateOf(to), agent, provider, agents };
      const { rows, nextCursor } = await pages.read(page, (part) =>
        activity.list(workspaceId, filter, part),
      );
      return { activity: rows, nextCursor };
    },
  });

  addRoute(app, {
    method: "GET",
    path: "/contexts",
    summary: "List on whose behalf agents made calls, by minute, agent and provider, newest first",
    description:
      "What agents said in `x3sproxy-context-*` headers, and in how many requests: at most five different ones a minute, agent and " +
      "provider. Kept for 35 days.",
    permission: "audit",
    query: z.strictObject({ ...pageParameters, ...span }),
    answer: z.object({ contexts: z.array(contextView), nextCursor }),
    async handle({ query: { from, to, agent, ...page }, request }) {
      const { workspaceId } = callerOf(request);
      const filter = { from: dateOf(from), to: dateOf(to), agent };
      const { rows, nextCursor } = await contextPages.read(page, (part) =>
        calls.contexts(workspaceId, filter, part),
      );
      return { contexts: rows, nextCursor };
    },
  });
}

function dateOf(at: string | undefined): Date | undefined {
  return at === undefined ? undefined : new Date(at);
}
