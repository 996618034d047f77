// What agents did, minute by minute.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ActivityRow, ActivityViews } from "../activity/index.ts";
import { callerOf } from "./funnel.ts";
import { createPaging, nextCursor, pageParameters } from "./paging.ts";
import { addRoute } from "./route.ts";

const instant = z.iso.datetime({ offset: true });
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
});

const pages = createPaging(
  "activity",
  z.tuple([instant, z.string(), z.string()]),
  ({ minute, agent, provider }: ActivityRow) => [minute, agent, provider],
);

export function addActivityRoute(
  app: FastifyInstance,
  { activity }: { activity: ActivityViews },
): void {
  addRoute(app, {
    method: "GET",
    path: "/activity",
    summary: "List what agents did, by minute, agent and provider, newest first",
    permission: "viewer",
    query: z.strictObject({
      ...pageParameters,
      from: instant.optional(),
      /** Exclusive. */
      to: instant.optional(),
      agent: z.string().max(63).optional(),
      provider: z.string().max(63).optional(),
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
}

function dateOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}
