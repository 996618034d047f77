// How an agent gets its token: registrations, which its container trades, and leases, which their holder renews. Each token is only in the
// answer that makes it.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { baseUrls, byAgent, deployedAgent } from "./agents.ts";
import { agentName, agentToken, time } from "./fields.ts";

const MAX_LIFE_S = 24 * 3600;

const oneOf = z.object({ name: agentName, id: z.guid() });
const byRegistration = { params: oneOf, unknown: "registration_not_found" } as const;
const byLease = { params: oneOf, unknown: "lease_not_found" } as const;

const registration = z.object({
  id: z.string(),
  agent: z.string().describe("Its name."),
  createdAt: time,
  expiresAt: time,
  createdBy: z.string(),
});
export type Registration = z.infer<typeof registration>;
const lease = z.object({
  id: z.string(),
  expiresAt: time.describe("Unless it is renewed before."),
});

export const agentTokenRoutes = {
  "POST /agents/:name/registrations": {
    summary:
      "Make a registration: its token, shown once, is traded once for the agent's next token",
    description:
      "The agent's container trades it at `POST /_x3sproxy/register` of the proxy. That is a new deployment: it ends the agent's other tokens.",
    permission: "operator",
    forAgent: true,
    ...byAgent,
    body: z.strictObject({
      expiresInSeconds: z.int().min(60).max(MAX_LIFE_S).default(3600),
    }),
    example: { expiresInSeconds: 3600 },
    answer: z.object({
      registration,
      token: z.string().describe("`x3sreg_…`: shown here and nowhere else."),
    }),
    success: [201],
  },

  "GET /agents/:name/registrations": {
    summary: "List an agent's registrations that can still be traded, oldest first",
    permission: "viewer",
    forAgent: true,
    ...byAgent,
    answer: z.object({ registrations: z.array(registration) }),
  },

  "DELETE /agents/:name/registrations/:id": {
    summary: "Revoke a registration",
    permission: "operator",
    forAgent: true,
    ...byRegistration,
    answer: z.object({ registration }),
  },

  "POST /agents/:name/leases": {
    summary:
      "Take a lease: a token beside the deployment's, for two minutes and as long as it is renewed",
    permission: "operator",
    forAgent: true,
    ...byAgent,
    body: z.strictObject({}),
    answer: z.object({
      lease,
      agent: deployedAgent,
      token: agentToken,
      baseUrls,
    }),
    success: [201],
  },

  "PUT /agents/:name/leases/:id": {
    summary: "Renew a lease: it lives for two minutes from now",
    permission: "operator",
    forAgent: true,
    ...byLease,
    answer: z.object({ lease }),
  },

  "DELETE /agents/:name/leases/:id": {
    summary: "End a lease: its token stops working at once",
    permission: "operator",
    forAgent: true,
    ...byLease,
  },
} satisfies Routes;
export type AgentTokenRoutes = typeof agentTokenRoutes;
