// Secrets. A value goes in; only its mask comes out.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { environmentName, line, providerName, time } from "./fields.ts";
import { nextCursor, pageParameters, pageQuery, searchParameter, total } from "./lists.ts";

const DEFAULT_ENVIRONMENT = "production";
// Longer than any key, so that a value that is too long gets its own error.
const MAX_VALUE = 16_384;
// The maximum of Postgres's integer.
const MAX_VERSION = 2_147_483_647;

const setBody = z.strictObject({
  provider: providerName,
  environment: environmentName.default(DEFAULT_ENVIRONMENT),
  label: line(200).optional().describe("A note on where the key comes from. Absent: as it was."),
  origin: line(300)
    .optional()
    .describe("Where it goes, for a provider whose customers have an origin each."),
  value: z.string().max(MAX_VALUE).describe("The real key. It comes out again nowhere."),
  skipTest: z
    .boolean()
    .default(false)
    .describe("Make it active at once, without asking the provider whether it takes it."),
});
const version = z.int().positive().max(MAX_VERSION);
const testBody = z.strictObject({
  version: version.optional().describe("Absent: the active one."),
});
const activateBody = z.strictObject({ version, label: setBody.shape.label });
const discardBody = z.strictObject({ version });
const rollbackBody = z.strictObject({
  version: version.optional().describe("Absent: the one before the active one."),
});
const byId = { params: z.object({ id: z.guid() }), unknown: "secret_not_found" } as const;

const secret = z
  .object({
    id: z.string(),
    provider: z.string(),
    environment: z.string(),
    label: z.string(),
    origin: z.string().describe("Where the active version may be sent, and nowhere else."),
    version: z.number().int().describe("The active one."),
    masked: z.string().describe("What is shown of the key, as `sk-…wxyz`."),
    candidate: z
      .number()
      .int()
      .nullable()
      .describe("The version that waits to be activated or thrown away. No call uses it."),
    createdAt: time,
    updatedAt: time.describe("When the active version was saved."),
    dueAt: time.describe("When it should be replaced by another key."),
    refusals: z
      .object({
        calls: z.int(),
        agents: z.int().describe("Whose calls these were."),
        status401: z.int(),
        status403: z.int(),
        status429: z.int(),
        since: time,
        latest: time,
      })
      .nullable()
      .describe(
        "What the provider has refused with the active version since the last call that it took; null: nothing, or too little to be told. " +
          "Who is limited to agents is told of theirs.",
      ),
    misplaced: z
      .enum(["provider_changed", "provider_removed"])
      .nullable()
      .describe(
        "Why calls with the active version are refused: its provider has another origin, header or scheme since it was saved (save the key again), or was removed. Null: they aren't.",
      ),
  })
  .meta({ id: "Secret" });
export type Secret = z.infer<typeof secret>;
const secretVersion = z
  .object({
    version: z.number().int(),
    active: z.boolean(),
    candidate: z.boolean().describe("It was never active, and waits to be."),
    masked: z.string(),
    origin: z.string(),
    createdAt: time,
  })
  .meta({ id: "SecretVersion" });
export type SecretVersion = z.infer<typeof secretVersion>;
const secretUse = z
  .object({
    version: z.number().int(),
    agent: z.string(),
    firstUsedAt: time,
    lastUsedAt: time,
    requests: z.number().int(),
  })
  .meta({ id: "SecretUse" });
export type SecretUse = z.infer<typeof secretUse>;
const keyTest = z
  .object({
    ok: z.boolean(),
    status: z.number().int().nullable().describe("Of the provider's answer."),
    reason: z.enum(["accepted", "refused", "unreachable", "no_test", "unexpected"]),
    checkedAt: time,
  })
  .meta({ id: "KeyTest" });
export type KeyTest = z.infer<typeof keyTest>;
const listQuery = z.strictObject({
  ...pageParameters,
  ...searchParameter,
  provider: providerName.optional().describe("Only this provider's."),
  environment: environmentName.optional().describe("Only those in it."),
});
const oneSecret = z.object({ secret });
const savedSecret = z.object({
  secret,
  test: keyTest
    .nullable()
    .describe("What the provider said to the key. Null: it was not asked, or no test was free."),
});
/** The result of saving a value. `test` is null if the provider was not asked. */
export type SavedSecret = z.infer<typeof savedSecret>;

export const secretRoutes = {
  "GET /secrets": {
    summary: "List the keys, masked, by provider and environment",
    permission: "viewer",
    query: listQuery,
    answer: z.object({ secrets: z.array(secret), total, nextCursor }),
  },

  "GET /secrets/:id": {
    summary: "Show a key, masked",
    permission: "viewer",
    ...byId,
    answer: oneSecret,
  },

  "PUT /secrets": {
    summary: "Save a key, or a new version of it once the provider takes it",
    description:
      "A new value is sealed as a candidate, which no call uses, and tried by a free call to the provider. Taken, it is active within a " +
      "second. Refused (409 `key_refused`), or where nothing can be told (409 `key_unproved`: no answer, or no free call), the version " +
      "before stays active, and `candidate` in the problem names the new one, to be activated all the same or thrown away. The first " +
      "key of a provider and environment is active at once; `test` says what came. A workspace has 10 tests a minute.",
    permission: "admin",
    fresh: true,
    body: setBody,
    example: {
      provider: "anthropic",
      environment: "staging",
      value: "the-real-key-of-the-provider",
    },
    answer: savedSecret,
    success: [201, 200],
  },

  "GET /secrets/:id/versions": {
    summary: "List a key's versions, latest first",
    permission: "viewer",
    ...byId,
    answer: z.object({ versions: z.array(secretVersion) }),
  },

  "GET /secrets/:id/use": {
    summary: "Tell which agents have used which version of a key, and when, newest version first",
    permission: "viewer",
    ...byId,
    query: pageQuery,
    answer: z.object({ use: z.array(secretUse), nextCursor }),
  },

  "POST /secrets/:id/test": {
    summary: "Find out by a free call to the provider whether a key works",
    permission: "admin",
    ...byId,
    body: testBody,
    example: { version: 3 },
    answer: z.object({ test: keyTest }),
  },

  "POST /secrets/:id/activate": {
    summary: "Make a candidate active, whatever the provider said to it",
    permission: "admin",
    fresh: true,
    ...byId,
    body: activateBody,
    example: { version: 3 },
    answer: oneSecret,
  },

  "POST /secrets/:id/discard": {
    summary: "Throw a candidate away",
    permission: "admin",
    fresh: true,
    ...byId,
    body: discardBody,
    example: { version: 3 },
    answer: oneSecret,
  },

  "POST /secrets/:id/rollback": {
    summary: "Make another version active: the one before, or the one named",
    permission: "admin",
    fresh: true,
    ...byId,
    body: rollbackBody,
    example: { version: 3 },
    answer: oneSecret,
  },

  "DELETE /secrets/:id": {
    summary: "Delete a key with all its versions",
    permission: "admin",
    fresh: true,
    ...byId,
    answer: oneSecret,
  },
} satisfies Routes;
export type SecretRoutes = typeof secretRoutes;
