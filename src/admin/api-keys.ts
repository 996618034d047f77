// API keys over REST. The answer that makes a key is the only one that ever holds it.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ApiKeyView, Identity } from "../identity/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { line } from "./names.ts";
import { createPaging, nextCursor, pageQuery, total, totalOf } from "./paging.ts";
import { agentLimit, role } from "./people.ts";
import { addRoute } from "./route.ts";

const MAX_LIFE_S = 10 * 365 * 24 * 3600;
const MAX_ADDRESSES = 50;
const MAX_REQUESTS_PER_MINUTE = 1_000_000;

const createBody = z.strictObject({
  name: line(100).trim().min(1),
  role,
  agents: agentLimit.default(null),
  /** Null: it does not expire. */
  expiresInSeconds: z.int().min(60).max(MAX_LIFE_S).nullable().default(null),
  /** Addresses, or blocks of them (CIDR). Empty: from everywhere. */
  allowedAddresses: z.array(line(100)).max(MAX_ADDRESSES).default([]),
  requestsPerMinute: z.int().min(1).max(MAX_REQUESTS_PER_MINUTE).nullable().default(null),
});
const byId = { params: z.object({ id: z.guid() }), unknown: "api_key_not_found" } as const;

const apiKeyView = z.object({
  id: z.string(),
  name: z.string(),
  role,
  agents: z.array(z.string()).nullable(),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
  allowedAddresses: z.array(z.string()),
  requestsPerMinute: z.number().nullable(),
});

const pages = createPaging(
  "api-keys",
  z.tuple([z.string(), z.guid()]),
  ({ name, id }: ApiKeyView) => [name, id],
);

export function addApiKeyRoutes(
  app: FastifyInstance,
  { identity: { apiKeys } }: { identity: Identity },
): void {
  addRoute(app, {
    method: "GET",
    path: "/api-keys",
    summary: "List the API keys",
    permission: "owner",
    query: pageQuery,
    answer: z.object({ apiKeys: z.array(apiKeyView), total, nextCursor }),
    async handle({ query, request }) {
      const { workspaceId } = callerOf(request);
      const page = await pages.read(query, (part) => apiKeys.list(workspaceId, part));
      const total = await totalOf(query, page, () => apiKeys.count(workspaceId));
      return { apiKeys: page.rows, total, nextCursor: page.nextCursor };
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/api-keys",
    summary: "Make an API key, shown once",
    permission: "owner",
    fresh: true,
    body: createBody,
    example: { name: "ci", role: "operator", expiresInSeconds: 2_592_000 },
    answer: z.object({ apiKey: apiKeyView, key: z.string() }),
    success: [201],
    async handle({ body, request, reply }) {
      const made = await apiKeys.create(actorOf(request), body);
      reply.code(201);
      return made;
    },
  });

  addRoute(app, {
    method: "DELETE",
    path: "/api-keys/:id",
    summary: "Delete an API key: it stops working at once",
    permission: "owner",
    fresh: true,
    ...byId,
    answer: z.object({ apiKey: apiKeyView }),
    handle: async ({ params, request }) => ({
      apiKey: await apiKeys.delete(actorOf(request), params.id),
    }),
  });
}
