// API keys over REST. Only the answer that makes a key holds it.
import { z } from "zod";
import type { ApiKeyRoutes } from "../contract/index.ts";
import type { ApiKeyView, Identity } from "../identity/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { createPaging, totalOf } from "./paging.ts";
import type { HandlersOf } from "./route.ts";

const pages = createPaging(
  "api-keys",
  z.tuple([z.string(), z.guid()]),
  ({ name, id }: ApiKeyView) => [name, id],
);

export function apiKeyHandlers({
  identity: { apiKeys },
}: {
  identity: Identity;
}): HandlersOf<ApiKeyRoutes> {
  return {
    "GET /api-keys": async ({ query, request }) => {
      const { workspaceId } = callerOf(request);
      const page = await pages.read(query, (part) => apiKeys.list(workspaceId, part));
      const total = await totalOf(query, page, () => apiKeys.count(workspaceId));
      return { apiKeys: page.rows, total, nextCursor: page.nextCursor };
    },

    "POST /api-keys": async ({ body, request, reply }) => {
      const made = await apiKeys.create(actorOf(request), body);
      reply.code(201);
      return made;
    },

    "DELETE /api-keys/:id": async ({ params, request }) => ({
      apiKey: await apiKeys.delete(actorOf(request), params.id),
    }),
  };
}
