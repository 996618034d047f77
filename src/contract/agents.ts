// Agents: deployments, scopes, and changes of scopes.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { agentName, agentToken, environmentName, providerName, time } from "./fields.ts";
import { nextCursor, pageParameters, searchParameter, total } from "./lists.ts";
import { WIDENING } from "./permissions.ts";
import { limitsView, scopeChange, scopeParts } from "./scopes.ts";

const MAX_TTL_S = 365 * 24 * 3600;

const deployBody = z.strictObject({
  ...scopeChange,
  ttlSeconds: z
    .int()
    .positive()
    .max(MAX_TTL_S)
    .meta({ minimum: 60 })
    .nullable()
    .optional()
    .describe("Life of the token, from a minute; null: without end. Absent: as it was."),
});
const deployHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, "give 1 to 200 visible ASCII characters")
    .optional()
    .describe(
      "A random text of your own for this one deployment. Sent again with the same body within 24 hours, it gives the " +
        "same answer, token included, as long as that deployment is the newest; else 409 `idempotency_conflict`.",
    ),
});
export const byAgent = {
  params: z.object({ name: agentName }),
  unknown: "agent_not_found",
} as const;

const listQuery = z.strictObject({
  ...pageParameters,
  ...searchParameter,
  environment: environmentName.optional().describe("Only those in it."),
  mayUse: providerName.optional().describe("Only those whose scope lets them use this provider."),
  used: providerName.optional().describe("Only those that have used this provider."),
});

/** An agent, as it was deployed. */
export const deployedAgent = z
  .object({
    id: z.string(),
    name: agentName,
    environment: environmentName.describe("Whose keys it uses."),
    providers: z.array(z.string()).nullable().describe("Null, here and below: not limited."),
    rules: z.array(z.string()).nullable().describe("The only calls that it may make."),
    allowedEndpoints: z.array(z.string()).describe("Sensitive endpoints that it may call."),
    addresses: z.array(z.string()).nullable().describe("The only ones that it may call from."),
    models: z.array(z.string()).nullable(),
    scopeExpiresAt: time.nullable(),
    limits: limitsView,
    suspendedAt: time.nullable().describe("Since when it is suspended by itself; null: it is not."),
    deployment: z.number().int().describe("Counts from 1."),
    createdAt: time,
    deployedAt: time,
    expiresAt: time.nullable().describe("When its token ends; null: never."),
  })
  .meta({ id: "Agent" });
export type DeployedAgent = z.infer<typeof deployedAgent>;

/** The same, with its use. */
const agent = deployedAgent.extend({
  lastUsedAt: z.string().nullable().describe("Null: never."),
  requests24h: z.number(),
  refusals24h: z.number(),
  providersUsed: z.array(z.string()).describe("All that it has ever used."),
  idle: z.boolean().describe("Not used for as long as the workspace's rule says."),
});
export type Agent = z.infer<typeof agent>;

/** Beside a token in an answer. */
export const baseUrls = z
  .record(z.string(), z.string())
  .describe("By provider: where the agent finds the provider's own paths.");

const dryRun = z.object({
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
export type DryRun = z.infer<typeof dryRun>;

export const agentRoutes = {
  "GET /agents": {
    summary: "List the agents, by name",
    permission: "viewer",
    query: listQuery,
    answer: z.object({ agents: z.array(agent), total, nextCursor }),
  },

  "GET /agents/:name": {
    summary: "Show an agent and its use",
    permission: "viewer",
    forAgent: true,
    ...byAgent,
    answer: z.object({ agent }),
  },

  "POST /agents/:name/deployments": {
    summary: "Deploy an agent: a new token, shown once; the one before ends",
    description:
      "Makes the agent if there is none of this name. A redeployment keeps what it is not told to change; one of a suspended agent " +
      "leaves it suspended (`suspendedAt`). An operator chooses the scope of a new agent within what the workspace gives new agents " +
      "(`GET /workspace/new-agents`) and what a destroyed agent of this name had. More than that, or another scope or environment than " +
      "the agent has, takes what `PATCH /agents/:name/scope` takes.",
    permission: "operator",
    forAgent: true,
    params: z.object({ name: z.string() }),
    headers: deployHeaders,
    body: deployBody,
    example: { providers: ["anthropic", "openai"], ttlSeconds: 43_200 },
    answer: z.object({
      agent: deployedAgent,
      token: agentToken,
      expiresAt: time.nullable().describe("When the token ends; null: never."),
      baseUrls,
    }),
    success: [201],
  },

  "PATCH /agents/:name/scope": {
    summary: "Change what an agent may do: at once, with the token that it has",
    description: "What is left out stays as it is.",
    permission: WIDENING.role,
    fresh: WIDENING.proof,
    ...byAgent,
    body: z.strictObject(scopeChange),
    example: {
      rules: ["POST /anthropic/v1/messages"],
      models: ["claude-*"],
      limits: { requestsPerMinute: 60 },
    },
    answer: z.object({ agent: deployedAgent }),
  },

  "POST /agents/:name/suspend": {
    summary: "Suspend an agent: its calls are refused, and the open ones are cut",
    description:
      "Within a second, on every process. Its token stays, and a redeployment leaves it suspended. Does nothing when it is.",
    permission: "operator",
    emergency: true,
    forAgent: true,
    ...byAgent,
    answer: z.object({ agent: deployedAgent }),
  },

  "POST /agents/:name/resume": {
    summary: "Let a suspended agent go on, with the token that it has",
    permission: "operator",
    forAgent: true,
    ...byAgent,
    answer: z.object({ agent: deployedAgent }),
  },

  "DELETE /agents/:name": {
    summary: "Destroy an agent: its token ends, and its open calls are cut",
    permission: "operator",
    forAgent: true,
    ...byAgent,
    answer: z.object({ agent: deployedAgent }),
  },

  "POST /agents/:name/scope/dry-run": {
    summary: "Tell what a change of an agent's scope would have refused of its last day",
    description:
      "Takes what `PATCH /agents/:name/scope` takes but the environment, and changes nothing. The calls that went up are judged as if they came now, by " +
      "the code that judges calls; models and limits can't be judged.",
    permission: "admin",
    params: z.object({ name: agentName }),
    unknown: "agent_not_found",
    body: z.strictObject(scopeParts),
    example: { rules: ["POST /anthropic/v1/messages"] },
    answer: z.object({ dryRun }),
  },
} satisfies Routes;
export type AgentRoutes = typeof agentRoutes;
