// The caller's workspace: name, rules, limits, environments, and the most that new agents may get.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { environmentName, time, workspaceName } from "./fields.ts";
import { WIDENING } from "./permissions.ts";
import { limitCount, limitingParts, limitsChange, limitsView } from "./scopes.ts";

const days = z.int().min(1).max(3650);
const changeBody = z.strictObject({
  name: workspaceName.optional(),
  secondFactorRequired: z.boolean().optional(),
  rotationDays: days.optional(),
  idleDays: days.optional(),
  limits: limitsChange
    .extend({ openWebsockets: limitCount.nullable().optional() })
    .optional()
    .describe("Of all agents together; null: no limit. Absent: as it was."),
  unusedDays: days
    .nullable()
    .optional()
    .describe("After how many days without use a token ends by itself; null: never."),
  auditRetentionDays: z
    .int()
    .min(30)
    .max(36_500)
    .nullable()
    .optional()
    .describe(
      "For how many days events of the audit are kept; null: for ever. A shorter one counts a week later.",
    ),
});

const workspace = z.object({
  id: z.string(),
  name: z.string(),
  secondFactorRequired: z.boolean(),
  rotationDays: z.number(),
  idleDays: z.number(),
  unusedDays: z.number().nullable(),
  auditRetentionDays: z
    .number()
    .nullable()
    .describe("For how many days events of the audit are kept; null: for ever."),
  auditRetentionFrom: time
    .nullable()
    .describe("From when on it counts, after it was made shorter; null: it does."),
  limits: limitsView
    .extend({ openWebsockets: z.number().nullable() })
    .describe("Of all agents together; null: no limit."),
  environments: z.array(z.string()),
  agentsSuspendedAt: time
    .nullable()
    .describe("Since when all agents are suspended, whatever their own state; null: they are not."),
});
export type Workspace = z.infer<typeof workspace>;
const oneWorkspace = z.object({ workspace });

const environment = z.object({ name: z.string(), secrets: z.number(), agents: z.number() });
export type Environment = z.infer<typeof environment>;

const MAX_ENVIRONMENTS = 200;

const newAgentsChange = z.strictObject({
  environments: z
    .array(environmentName)
    .min(1)
    .max(MAX_ENVIRONMENTS)
    .nullable()
    .optional()
    .describe(
      "The only ones that they may be in; null: every one. Absent, here and below: as it was.",
    ),
  ...limitingParts,
});

const names = z.array(z.string()).nullable();
const newAgents = z.object({
  environments: names.describe("Null, here and below: not limited."),
  providers: names,
  rules: names,
  addresses: names,
  models: names,
  limits: limitsView,
});
export type NewAgents = z.infer<typeof newAgents>;
const oneNewAgents = z.object({ newAgents });

export const workspaceRoutes = {
  "GET /workspace": {
    summary: "Tell the workspace's name, rules and limits",
    permission: "viewer",
    answer: oneWorkspace,
  },

  "PATCH /workspace": {
    summary: "Change the workspace's name, rules or limits",
    permission: "owner",
    fresh: true,
    body: changeBody,
    example: { rotationDays: 90, limits: { requestsPerMinute: 6000 } },
    answer: oneWorkspace,
  },

  "POST /workspace/suspend": {
    summary: "Suspend all agents: their calls are refused, and the open ones are cut",
    description:
      "Within a second, on every process. What each agent is by itself stays. Does nothing when they are suspended.",
    permission: "admin",
    emergency: true,
    answer: oneWorkspace,
  },

  "POST /workspace/resume": {
    summary: "Let all agents go on that are not suspended by themselves",
    permission: "admin",
    fresh: true,
    answer: oneWorkspace,
  },

  "GET /environments": {
    summary: "List the environments, with how many keys and agents are in each",
    permission: "viewer",
    answer: z.object({ environments: z.array(environment) }),
  },

  "PATCH /environments/:name": {
    summary: "Rename an environment: its agents and keys move together",
    description:
      "Tokens stay as they are. Where there is an environment of the new name already, the two become one, and the agents of each use " +
      "the keys of both.",
    permission: WIDENING.role,
    fresh: WIDENING.proof,
    params: z.object({ name: environmentName }),
    unknown: "environment_not_found",
    body: z.strictObject({ name: environmentName }),
    example: { name: "staging" },
    answer: z.object({ environment }),
  },

  "GET /workspace/new-agents": {
    summary: "Tell what the workspace gives new agents",
    description:
      "An agent begins with this as far as its deployment says nothing else, and has no more unless an admin says so. It gets sensitive " +
      "endpoints from an admin alone. An agent that is made under the name of one that was destroyed within a year has to fit that one's scope, too.",
    permission: "viewer",
    answer: oneNewAgents,
  },

  "PATCH /workspace/new-agents": {
    summary: "Change what the workspace gives new agents",
    description: "What is left out stays as it is. Agents that there are keep what they have.",
    permission: WIDENING.role,
    fresh: WIDENING.proof,
    body: newAgentsChange,
    example: {
      environments: ["staging"],
      providers: ["openai"],
      limits: { requestsPerMinute: 60 },
    },
    answer: oneNewAgents,
  },
} satisfies Routes;
export type WorkspaceRoutes = typeof workspaceRoutes;
