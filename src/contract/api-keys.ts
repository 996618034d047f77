// API keys. Only the answer that makes a key holds it.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { agentLimit, line, role } from "./fields.ts";
import { nextCursor, pageQuery, total } from "./lists.ts";

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

const apiKey = z.object({
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
export type ApiKey = z.infer<typeof apiKey>;

export const apiKeyRoutes = {
  "GET /api-keys": {
    summary: "List the API keys",
    permission: "owner",
    query: pageQuery,
    answer: z.object({ apiKeys: z.array(apiKey), total, nextCursor }),
  },

  "POST /api-keys": {
    summary: "Make an API key, shown once",
    permission: "owner",
    fresh: true,
    body: createBody,
    example: { name: "ci", role: "operator", expiresInSeconds: 2_592_000 },
    answer: z.object({ apiKey, key: z.string() }),
    success: [201],
  },

  "DELETE /api-keys/:id": {
    summary: "Delete an API key: it stops working at once",
    permission: "owner",
    fresh: true,
    ...byId,
    answer: z.object({ apiKey }),
  },
} satisfies Routes;
export type ApiKeyRoutes = typeof apiKeyRoutes;
