// Secrets over REST: a value goes in, only its mask comes out.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { rotationDueAt, type ActivityViews } from "../activity/index.ts";
import type { KeyTests, Secrets, SecretView } from "../vault/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { environmentName, line, providerName, time } from "./names.ts";
import { createPaging, nextCursor, pageQuery } from "./paging.ts";
import { addRoute } from "./route.ts";

const DEFAULT_ENVIRONMENT = "production";
// Longer than any key, so that one that is too long is told so.
const MAX_VALUE = 16_384;

const setBody = z.strictObject({
  provider: providerName,
  environment: environmentName.default(DEFAULT_ENVIRONMENT),
  label: line(200).optional().describe("A note on where the key comes from. Absent: as it was."),
  origin: line(300)
    .optional()
    .describe("Where it goes, for a provider whose customers have an origin each."),
  value: z.string().max(MAX_VALUE).describe("The real key. It comes out again nowhere."),
});
const rollbackBody = z.strictObject({
  version: z.int().positive().optional().describe("Absent: the one before the active one."),
});
const byId = { params: z.object({ id: z.guid() }), unknown: "secret_not_found" } as const;

const secretView = z
  .object({
    id: z.string(),
    provider: z.string(),
    environment: z.string(),
    label: z.string(),
    origin: z.string().describe("Where the active version may be sent, and nowhere else."),
    version: z.number().int().describe("The active one."),
    masked: z.string().describe("What is shown of the key, as `sk-…wxyz`."),
    createdAt: time,
    updatedAt: time.describe("When the active version was saved."),
    dueAt: time.describe("When it should be replaced by another key."),
  })
  .meta({ id: "Secret" });
const versionView = z
  .object({
    version: z.number().int(),
    active: z.boolean(),
    masked: z.string(),
    origin: z.string(),
    createdAt: time,
  })
  .meta({ id: "SecretVersion" });
const useView = z
  .object({
    version: z.number().int(),
    agent: z.string(),
    firstUsedAt: time,
    lastUsedAt: time,
    requests: z.number().int(),
  })
  .meta({ id: "SecretUse" });
const testView = z
  .object({
    ok: z.boolean(),
    status: z.number().int().nullable().describe("Of the provider's answer."),
    reason: z.enum(["accepted", "refused", "unreachable", "no_test", "unexpected"]),
    checkedAt: time,
  })
  .meta({ id: "KeyTest" });
const pages = createPaging(
  "secrets",
  z.tuple([providerName, environmentName]),
  ({ provider, environment }: SecretView) => [provider, environment],
);
const oneSecret = z.object({ secret: secretView });

export function addSecretRoutes(
  app: FastifyInstance,
  options: { secrets: Secrets; activity: ActivityViews; keyTests: KeyTests },
): void {
  const { secrets, activity, keyTests } = options;

  const withDueAt = async (workspaceId: string, views: readonly SecretView[]) => {
    const rules = await activity.rules(workspaceId);
    return views.map((view) => ({ ...view, dueAt: rotationDueAt(view.updatedAt, rules) }));
  };
  const answerOne = async (workspaceId: string, view: SecretView) => {
    const [secret] = await withDueAt(workspaceId, [view]);
    if (secret === undefined) throw new Error("one secret in, none out");
    return { secret };
  };

  addRoute(app, {
    method: "GET",
    path: "/secrets",
    summary: "List the keys, masked, by provider and environment",
    permission: "viewer",
    query: pageQuery,
    answer: z.object({ secrets: z.array(secretView), nextCursor }),
    async handle({ query, request }) {
      const { workspaceId } = callerOf(request);
      const { rows, nextCursor } = await pages.read(query, (page) =>
        secrets.list(workspaceId, page),
      );
      return { secrets: await withDueAt(workspaceId, rows), nextCursor };
    },
  });

  addRoute(app, {
    method: "PUT",
    path: "/secrets",
    summary: "Save a key, or a new version of it; it is active at once",
    permission: "admin",
    fresh: true,
    body: setBody,
    example: {
      provider: "anthropic",
      environment: "staging",
      value: "the-real-key-of-the-provider",
    },
    answer: oneSecret,
    success: [201, 200],
    async handle({ body: { label, origin, ...rest }, request, reply }) {
      const by = actorOf(request);
      const secret = await secrets.set(by, {
        ...rest,
        ...(label !== undefined && { label }),
        ...(origin !== undefined && { origin }),
      });
      reply.code(secret.version === 1 ? 201 : 200);
      return answerOne(by.workspaceId, secret);
    },
  });

  addRoute(app, {
    method: "GET",
    path: "/secrets/:id/versions",
    summary: "List a key's versions, latest first",
    permission: "viewer",
    ...byId,
    answer: z.object({ versions: z.array(versionView) }),
    handle: async ({ params, request }) => ({
      versions: await secrets.versions(callerOf(request).workspaceId, params.id),
    }),
  });

  addRoute(app, {
    method: "GET",
    path: "/secrets/:id/use",
    summary: "Tell which agents have used which version of a key, and when",
    permission: "viewer",
    ...byId,
    answer: z.object({ use: z.array(useView) }),
    async handle({ params: { id }, request }) {
      const { workspaceId, agents } = callerOf(request);
      await secrets.versions(workspaceId, id); // 404 for what is not there
      return { use: await activity.versionUse(workspaceId, id, agents) };
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/secrets/:id/test",
    summary: "Find out by a free call to the provider whether a key works",
    permission: "admin",
    ...byId,
    answer: z.object({ test: testView }),
    handle: async ({ params, request }) => ({
      test: await keyTests.test(actorOf(request), params.id),
    }),
  });

  addRoute(app, {
    method: "POST",
    path: "/secrets/:id/rollback",
    summary: "Make another version active: the one before, or the one named",
    permission: "admin",
    fresh: true,
    ...byId,
    body: rollbackBody,
    example: { version: 3 },
    answer: oneSecret,
    async handle({ params, body, request }) {
      const by = actorOf(request);
      return answerOne(by.workspaceId, await secrets.rollback(by, params.id, body.version));
    },
  });

  addRoute(app, {
    method: "DELETE",
    path: "/secrets/:id",
    summary: "Delete a key with all its versions",
    permission: "admin",
    fresh: true,
    ...byId,
    answer: oneSecret,
    async handle({ params, request }) {
      const by = actorOf(request);
      return answerOne(by.workspaceId, await secrets.delete(by, params.id));
    },
  });
}
