// The whole installation over REST: workspaces, master keys, backups, and the OpenAPI document. No route takes or gives a master key; a
// backup is encrypted before it leaves. Only the answer that makes a setup link holds it.
import { z } from "zod";
import type { Backups } from "../backup/index.ts";
import type { InstallationRoutes } from "../contract/index.ts";
import type { Identity, SetupLink, WorkspaceSummary } from "../identity/index.ts";
import type { MasterKeys } from "../vault/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import type { OpenApiDocument } from "./openapi.ts";
import { createPaging } from "./paging.ts";
import type { HandlersOf } from "./route.ts";

const pages = createPaging("workspaces", z.tuple([z.string()]), ({ name }: WorkspaceSummary) => [
  name,
]);

export function installationHandlers(o: {
  identity: Identity;
  masterKeys: MasterKeys;
  backups: Backups;
  document: () => OpenApiDocument;
  dashboardUrl: string;
}): HandlersOf<InstallationRoutes> {
  const { masterKeys, backups, document } = o;
  const workspaces = o.identity.allWorkspaces;
  const shown = ({ token, expiresAt }: SetupLink) => ({
    url: `${o.dashboardUrl}/setup#token=${token}`,
    expiresAt,
  });

  return {
    "GET /workspaces": async ({ query, request }) => {
      const { workspaceId } = callerOf(request);
      const { rows, nextCursor } = await pages.read(query, (page) =>
        workspaces.list(workspaceId, page),
      );
      return { workspaces: rows, nextCursor };
    },

    "POST /workspaces": async ({ body, request, reply }) => {
      const { workspace, ...link } = await workspaces.create(actorOf(request), body.name);
      reply.code(201);
      return { workspace, ...shown(link) };
    },

    "POST /workspaces/:id/setup-link": async ({ params, request }) =>
      shown(await workspaces.renewSetupLink(actorOf(request), params.id)),

    "DELETE /workspaces/:id": async ({ params, body, request }) => ({
      workspace: await workspaces.delete(actorOf(request), params.id, body.name),
    }),

    "GET /master-keys": ({ request }) => masterKeys.list(callerOf(request).workspaceId),

    "POST /master-keys/rotation": ({ body, request }) =>
      masterKeys.rotate(actorOf(request), body.to),

    "POST /backups": async ({ body, request, reply }) => {
      const { id, createdAt, stream } = await backups.create(actorOf(request), body.recipients);
      const name = `x3sproxy-${createdAt.slice(0, 19).replaceAll(":", "")}Z.age`;
      void reply
        .type("application/octet-stream")
        .header("content-disposition", `attachment; filename="${name}"`)
        .header("x3sproxy-backup", id)
        .send(stream);
      return undefined;
    },

    "GET /openapi.json": () => ({ ...document() }),
  };
}
