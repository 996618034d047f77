// Secrets over REST: a value goes in, only its mask comes out.
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { rotationDueAt, type ActivityViews, type VersionUse } from "../activity/index.ts";
import { RequestError } from "../errors.ts";
import { looksLikeKey } from "../providers/index.ts";
import type { KeyTest, KeyTests, Secrets, SecretView } from "../vault/index.ts";
import { actorOf, callerOf, refuseShutOut } from "./funnel.ts";
import { agentName, environmentName, line, providerName, time } from "./names.ts";
import {
  createPaging,
  nextCursor,
  pageParameters,
  pageQuery,
  searchParameter,
  total,
  totalOf,
} from "./paging.ts";
import { addRoute } from "./route.ts";

const DEFAULT_ENVIRONMENT = "production";
// Longer than any key, so that one that is too long is told so.
const MAX_VALUE = 16_384;
// Of Postgres's integer.
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
const activateBody = z.strictObject({
  version,
  // The key isn't there to compare it with.
  label: setBody.shape.label.refine((label) => label === undefined || !looksLikeKey(label), {
    error: "it holds a key: take it out",
  }),
});
const discardBody = z.strictObject({ version });
const rollbackBody = z.strictObject({
  version: version.optional().describe("Absent: the one before the active one."),
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
const versionView = z
  .object({
    version: z.number().int(),
    active: z.boolean(),
    candidate: z.boolean().describe("It was never active, and waits to be."),
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
const usePages = createPaging(
  "use",
  z.tuple([z.string().regex(/^\d{1,9}$/), agentName]),
  ({ version, agent }: VersionUse) => [String(version), agent],
);
const listQuery = z.strictObject({
  ...pageParameters,
  ...searchParameter,
  provider: providerName.optional().describe("Only this provider's."),
  environment: environmentName.optional().describe("Only those in it."),
});
const oneSecret = z.object({ secret: secretView });
const savedSecret = z.object({
  secret: secretView,
  test: testView
    .nullable()
    .describe("What the provider said to the key. Null: it was not asked, or no test was free."),
});

export function addSecretRoutes(
  app: FastifyInstance,
  options: { secrets: Secrets; activity: ActivityViews; keyTests: KeyTests },
): void {
  const { secrets, activity, keyTests } = options;

  const withState = async (request: FastifyRequest, views: readonly SecretView[]) => {
    const { workspaceId, agents } = callerOf(request);
    const rules = await activity.rules(workspaceId);
    const refusals = await activity.keyRefusals(workspaceId, agents);
    const misplaced = await secrets.misplaced(
      workspaceId,
      views.map(({ id }) => id),
    );
    return views.map((view) => ({
      ...view,
      dueAt: rotationDueAt(view.updatedAt, rules),
      refusals: refusals.get(view.id) ?? null,
      misplaced: misplaced.get(view.id) ?? null,
    }));
  };
  const answerOne = async (request: FastifyRequest, view: SecretView) => {
    const [secret] = await withState(request, [view]);
    if (secret === undefined) throw new Error("one secret in, none out");
    return { secret };
  };

  addRoute(app, {
    method: "GET",
    path: "/secrets",
    summary: "List the keys, masked, by provider and environment",
    permission: "viewer",
    query: listQuery,
    answer: z.object({ secrets: z.array(secretView), total, nextCursor }),
    async handle({ query: { limit, cursor, ...filter }, request }) {
      const { workspaceId } = callerOf(request);
      const page = await pages.read({ limit, cursor }, (part) =>
        secrets.list(workspaceId, part, filter),
      );
      return {
        secrets: await withState(request, page.rows),
        total: await totalOf({ cursor }, page, () => secrets.count(workspaceId, filter)),
        nextCursor: page.nextCursor,
      };
    },
  });

  addRoute(app, {
    method: "GET",
    path: "/secrets/:id",
    summary: "Show a key, masked",
    permission: "viewer",
    ...byId,
    answer: oneSecret,
    async handle({ params, request }) {
      const { workspaceId } = callerOf(request);
      return answerOne(request, await secrets.find(workspaceId, params.id));
    },
  });

  addRoute(app, {
    method: "PUT",
    path: "/secrets",
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
    async handle({ body: { label, origin, skipTest, ...rest }, request, reply }) {
      const by = actorOf(request);
      const given = {
        ...rest,
        ...(label !== undefined && { label }),
        ...(origin !== undefined && { origin }),
      };
      if (skipTest) {
        const secret = await secrets.set(by, given);
        reply.code(secret.version === 1 ? 201 : 200);
        return { ...(await answerOne(request, secret)), test: null };
      }
      const saved = await keyTests.saveAndTest(by, (refusal) =>
        secrets.propose(by, given, refusal),
      );
      const { version, test } = saved;
      let { secret } = saved;
      if (secret.version !== version) {
        if (test?.ok !== true) throw notActivated(saved);
        // The provider may have taken seconds, in which a stolen credential was ended.
        await refuseShutOut(request);
        secret = await secrets.activate(by, secret.id, version, label);
      }
      reply.code(version === 1 ? 201 : 200);
      return { ...(await answerOne(request, secret)), test };
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
    summary: "Tell which agents have used which version of a key, and when, newest version first",
    permission: "viewer",
    ...byId,
    query: pageQuery,
    answer: z.object({ use: z.array(useView), nextCursor }),
    async handle({ params: { id }, query, request }) {
      const { workspaceId, agents } = callerOf(request);
      await secrets.find(workspaceId, id); // 404 for what is not there
      const { rows, nextCursor } = await usePages.read(query, (page) =>
        activity.versionUse(workspaceId, id, agents, page),
      );
      return { use: rows, nextCursor };
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/secrets/:id/test",
    summary: "Find out by a free call to the provider whether a key works",
    permission: "admin",
    ...byId,
    body: testBody,
    example: { version: 3 },
    answer: z.object({ test: testView }),
    handle: async ({ params, body, request }) => ({
      test: await keyTests.test(actorOf(request), params.id, body.version),
    }),
  });

  addRoute(app, {
    method: "POST",
    path: "/secrets/:id/activate",
    summary: "Make a candidate active, whatever the provider said to it",
    permission: "admin",
    fresh: true,
    ...byId,
    body: activateBody,
    example: { version: 3 },
    answer: oneSecret,
    async handle({ params, body, request }) {
      const by = actorOf(request);
      const { version, label } = body;
      return answerOne(request, await secrets.activate(by, params.id, version, label));
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/secrets/:id/discard",
    summary: "Throw a candidate away",
    permission: "admin",
    fresh: true,
    ...byId,
    body: discardBody,
    example: { version: 3 },
    answer: oneSecret,
    async handle({ params, body, request }) {
      const by = actorOf(request);
      return answerOne(request, await secrets.discard(by, params.id, body.version));
    },
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
      return answerOne(request, await secrets.rollback(by, params.id, body.version));
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
      return answerOne(request, await secrets.delete(by, params.id));
    },
  });
}

const WHAT_CAME: Readonly<Record<KeyTest["reason"], string>> = {
  accepted: "The provider took the new key",
  refused: "The provider refused the new key",
  unreachable: "The provider did not answer, so nothing is known of the new key",
  no_test: "No free call of this provider would prove the new key",
  unexpected: "The provider answered neither yes nor no to the new key",
};

function notActivated(saved: {
  readonly secret: SecretView;
  readonly version: number;
  readonly test: KeyTest | null;
}): RequestError {
  const { secret, version, test } = saved;
  const reason = test?.reason ?? "unexpected";
  const status = test?.status == null ? "" : ` (${test.status})`;
  return new RequestError(
    409,
    reason === "refused" ? "key_refused" : "key_unproved",
    `${WHAT_CAME[reason]}${status}. Version ${secret.version} stays active; the new key waits as version ${version}, which no call uses. ` +
      "Activate it all the same, or throw it away.",
    { candidate: { secret: secret.id, version } },
  );
}
