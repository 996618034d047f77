// Scopes and limits of agents, in requests and answers.
import { z } from "zod";
import { environmentName, keptInstant, line, providerName } from "./fields.ts";

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

/** The limits in a request's body, and for each new agent. */
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

/** A scope in a request's body, without its environment. Absent parts stay as they were. */
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

/** Null: no limit. */
export const limitsView = z.object({
  requestsPerMinute: z.number().nullable(),
  openStreams: z.number().nullable(),
  bytesPerMinute: z.number().nullable(),
});
