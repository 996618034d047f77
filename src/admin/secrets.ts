// Secrets over REST. A value goes in; only its mask comes out.
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { rotationDueAt, type ActivityViews, type VersionUse } from "../activity/index.ts";
import { agentName, environmentName, providerName, type SecretRoutes } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import { looksLikeKey } from "../providers/index.ts";
import type { KeyTest, KeyTests, Secrets, SecretView } from "../vault/index.ts";
import { actorOf, callerOf, refuseShutOut } from "./funnel.ts";
import { createPaging, totalOf } from "./paging.ts";
import type { HandlersOf } from "./route.ts";

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

export function secretHandlers(options: {
  secrets: Secrets;
  activity: ActivityViews;
  keyTests: KeyTests;
}): HandlersOf<SecretRoutes> {
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

  return {
    "GET /secrets": async ({ query: { limit, cursor, ...filter }, request }) => {
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

    "GET /secrets/:id": async ({ params, request }) => {
      const { workspaceId } = callerOf(request);
      return answerOne(request, await secrets.find(workspaceId, params.id));
    },

    "PUT /secrets": async ({ body: { label, origin, skipTest, ...rest }, request, reply }) => {
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
        // The provider may take seconds. Meanwhile the caller's credential may have been revoked.
        await refuseShutOut(request);
        secret = await secrets.activate(by, secret.id, version, label);
      }
      reply.code(version === 1 ? 201 : 200);
      return { ...(await answerOne(request, secret)), test };
    },

    "GET /secrets/:id/versions": async ({ params, request }) => ({
      versions: await secrets.versions(callerOf(request).workspaceId, params.id),
    }),

    "GET /secrets/:id/use": async ({ params: { id }, query, request }) => {
      const { workspaceId, agents } = callerOf(request);
      await secrets.find(workspaceId, id); // 404 for what is not there
      const { rows, nextCursor } = await usePages.read(query, (page) =>
        activity.versionUse(workspaceId, id, agents, page),
      );
      return { use: rows, nextCursor };
    },

    "POST /secrets/:id/test": async ({ params, body, request }) => ({
      test: await keyTests.test(actorOf(request), params.id, body.version),
    }),

    "POST /secrets/:id/activate": async ({ params, body, request }) => {
      const by = actorOf(request);
      const { version, label } = body;
      // The value itself is not known here, so it can't be compared.
      if (label !== undefined && looksLikeKey(label)) {
        throw new RequestError(422, "invalid_request", "label: it holds a key: take it out.");
      }
      return answerOne(request, await secrets.activate(by, params.id, version, label));
    },

    "POST /secrets/:id/discard": async ({ params, body, request }) => {
      const by = actorOf(request);
      return answerOne(request, await secrets.discard(by, params.id, body.version));
    },

    "POST /secrets/:id/rollback": async ({ params, body, request }) => {
      const by = actorOf(request);
      return answerOne(request, await secrets.rollback(by, params.id, body.version));
    },

    "DELETE /secrets/:id": async ({ params, request }) => {
      const by = actorOf(request);
      return answerOne(request, await secrets.delete(by, params.id));
    },
  };
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
