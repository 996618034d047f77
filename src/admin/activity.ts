// Activity over REST: what agents did in each minute and on whose behalf; and an overview of a day or a week, with what needs attention.
import { z } from "zod";
import type { ActivityRow, ActivityViews, CallViews, ContextUse } from "../activity/index.ts";
import { instant, type ActivityRoutes } from "../contract/index.ts";
import { callerOf } from "./funnel.ts";
import { createPaging } from "./paging.ts";
import type { HandlersOf } from "./route.ts";

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

export function activityHandlers(o: {
  activity: ActivityViews;
  calls: CallViews;
}): HandlersOf<ActivityRoutes> {
  const { activity, calls } = o;

  return {
    "GET /overview": async ({ query, request }) => {
      const { workspaceId, agents } = callerOf(request);
      const hours = query.hours === "24" ? 24 : 168;
      return { overview: await activity.overview(workspaceId, hours, agents) };
    },

    "GET /activity": async ({ query: { from, to, agent, provider, ...page }, request }) => {
      const { workspaceId, agents } = callerOf(request);
      const filter = { from: dateOf(from), to: dateOf(to), agent, provider, agents };
      const { rows, nextCursor } = await pages.read(page, (part) =>
        activity.list(workspaceId, filter, part),
      );
      return { activity: rows, nextCursor };
    },

    "GET /contexts": async ({ query: { from, to, agent, ...page }, request }) => {
      const { workspaceId } = callerOf(request);
      const filter = { from: dateOf(from), to: dateOf(to), agent };
      const { rows, nextCursor } = await contextPages.read(page, (part) =>
        calls.contexts(workspaceId, filter, part),
      );
      return { contexts: rows, nextCursor };
    },
  };
}

function dateOf(at: string | undefined): Date | undefined {
  return at === undefined ? undefined : new Date(at);
}
