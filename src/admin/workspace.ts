// The caller's workspace over REST: its name, its rules, its limits, and the switch for all of its agents.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity } from "../identity/index.ts";
import { limitCount, limitsChange } from "./agent-scope.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { time, workspaceName } from "./names.ts";
import { addRoute } from "./route.ts";

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

const oneWorkspace = z.object({
  workspace: z.object({
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
    limits: z
      .object({
        requestsPerMinute: z.number().nullable(),
        openStreams: z.number().nullable(),
        bytesPerMinute: z.number().nullable(),
        openWebsockets: z.number().nullable(),
      })
      .describe("Of all agents together; null: no limit."),
    environments: z.array(z.string()),
    agentsSuspendedAt: time
      .nullable()
      .describe(
        "Since when all agents are suspended, whatever their own state; null: they are not.",
      ),
  }),
});

export function addWorkspaceRoutes(
  app: FastifyInstance,
  { identity: { workspaces } }: { identity: Identity },
): void {
  addRoute(app, {
    method: "GET",
    path: "/workspace",
    summary: "Tell the workspace's name, rules and limits",
    permission: "viewer",
    answer: oneWorkspace,
    async handle({ request }) {
      const { workspaceId, agents } = callerOf(request);
      return { workspace: await workspaces.get(workspaceId, agents) };
    },
  });

  addRoute(app, {
    method: "PATCH",
    path: "/workspace",
    summary: "Change the workspace's name, rules or limits",
    permission: "owner",
    fresh: true,
    body: changeBody,
    example: { rotationDays: 90, limits: { requestsPerMinute: 6000 } },
    answer: oneWorkspace,
    handle: async ({ body, request }) => ({
      workspace: await workspaces.change(actorOf(request), body),
    }),
  });

  addRoute(app, {
    method: "POST",
    path: "/workspace/suspend",
    summary: "Suspend all agents: their calls are refused, and the open ones are cut",
    description:
      "Within a second, on every process. What each agent is by itself stays. Does nothing when they are suspended.",
    permission: "admin",
    emergency: true,
    answer: oneWorkspace,
    handle: async ({ request }) => ({
      workspace: await workspaces.suspendAgents(actorOf(request)),
    }),
  });

  addRoute(app, {
    method: "POST",
    path: "/workspace/resume",
    summary: "Let all agents go on that are not suspended by themselves",
    permission: "admin",
    fresh: true,
    answer: oneWorkspace,
    handle: async ({ request }) => ({
      workspace: await workspaces.resumeAgents(actorOf(request)),
    }),
  });
}
