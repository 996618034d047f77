// Agents and their scopes as REST takes and gives them.
import { z } from "zod";
import { WIDENING, type Rights } from "../agents/index.ts";
import { roleAllows, type Caller } from "../identity/index.ts";
import { environmentName, keptInstant, line, providerName, time } from "./names.ts";

const MAX_NAMES = 200;

const names = z.array(line(300)).max(MAX_NAMES);
export const limitCount = z.int().positive().max(1_000_000_000);
export const limitsChange = z.strictObject({
  requestsPerMinute: limitCount.nullable().optional(),
  openStreams: limitCount.nullable().optional().describe("Calls under way at once."),
  bytesPerMinute: z
    .int()
    .positive()
    .max(Number.MAX_SAFE_INTEGER)
    .nullable()
    .optional()
    .describe("Of requests and answers together."),
});

/** Of a body, and of each new agent: what limits it. */
export const limitingParts = {
  providers: z
    .array(providerName)
    .max(MAX_NAMES)
    .nullable()
    .optional()
    .describe(
      "The only providers that it may use; null: every one. Absent, here and below: as it was.",
    ),
  rules: names
    .nullable()
    .optional()
    .describe(
      "The only calls that it may make, as `METHOD /provider/path`: `*` stands for any method, or any characters within a " +
        "segment, `**` for any segments; a rule that begins with `!` takes away. Null: every one.",
    ),
  addresses: names
    .nullable()
    .optional()
    .describe("The only addresses, or blocks of them, that it may call from; null: every one."),
  models: names
    .nullable()
    .optional()
    .describe("The only models that it may use, `*` for any characters; null: every one."),
  limits: limitsChange.optional().describe("Null: no limit."),
};

/** Of a body: what a scope has beside its environment; what is absent stays as it was. */
export const scopeParts = {
  ...limitingParts,
  allowedEndpoints: names
    .optional()
    .describe("Sensitive endpoints that it may call, as `provider:name`."),
  scopeExpiresAt: keptInstant
    .nullable()
    .optional()
    .describe("When all that it may do ends, whatever its token's own end; null: never."),
};
export const scopeChange = {
  environment: environmentName
    .optional()
    .describe(
      "Whose keys it uses. Absent: as it was; at first, production, or the first one that new agents may be in.",
    ),
  ...scopeParts,
};

/** What a caller has of what it takes to widen a scope. */
export function rightsOf({ role, session }: Caller): Rights {
  return { hasRole: roleAllows(role, WIDENING.role), hasProof: session?.fresh !== false };
}

export const agentView = z
  .object({
    id: z.string(),
    name: z.string(),
    environment: z.string().describe("Whose keys it uses."),
    providers: z.array(z.string()).nullable().describe("Null, here and below: not limited."),
    rules: z.array(z.string()).nullable().describe("The only calls that it may make."),
    allowedEndpoints: z.array(z.string()).describe("Sensitive endpoints that it may call."),
    addresses: z.array(z.string()).nullable().describe("The only ones that it may call from."),
    models: z.array(z.string()).nullable(),
    scopeExpiresAt: time.nullable(),
    limits: z.object({
      requestsPerMinute: z.number().nullable(),
      openStreams: z.number().nullable(),
      bytesPerMinute: z.number().nullable(),
    }),
    suspendedAt: time.nullable().describe("Since when it is suspended by itself; null: it is not."),
    deployment: z.number().int().describe("Counts from 1."),
    createdAt: time,
    deployedAt: time,
    expiresAt: time.nullable().describe("When its token ends; null: never."),
  })
  .meta({ id: "Agent" });
