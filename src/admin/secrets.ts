// Secrets over REST: a value goes in, only its mask comes out.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Secrets } from "../vault/index.ts";
import { callerOf } from "./funnel.ts";
import { environmentName, fromPath, providerName } from "./names.ts";

const DEFAULT_ENVIRONMENT = "production";

const setBody = z.strictObject({
  provider: providerName,
  environment: environmentName.default(DEFAULT_ENVIRONMENT),
  label: z
    .string()
    .max(200)
    .regex(/^\P{Cc}*$/u, "give one line of text")
    .optional(),
  origin: z.string().max(300).optional(),
  value: z.string(),
});
const rollbackBody = z.strictObject({ version: z.int().positive().optional() });

export function addSecretRoutes(app: FastifyInstance, { secrets }: { secrets: Secrets }): void {
  app.get("/api/v1/secrets", { config: { permission: "viewer" } }, async (request) => ({
    secrets: await secrets.list(callerOf(request).workspaceId),
  }));

  app.put("/api/v1/secrets", { config: { permission: "admin" } }, async (request, reply) => {
    const { provider, environment, label, origin, value } = setBody.parse(request.body);
    const secret = await secrets.set(callerOf(request).workspaceId, {
      provider,
      environment,
      value,
      ...(label !== undefined && { label }),
      ...(origin !== undefined && { origin }),
    });
    reply.code(secret.version === 1 ? 201 : 200);
    return { secret };
  });

  app.get(
    "/api/v1/secrets/:id/versions",
    { config: { permission: "viewer" } },
    async (request) => ({
      versions: await secrets.versions(callerOf(request).workspaceId, secretId(request.params)),
    }),
  );

  app.post("/api/v1/secrets/:id/rollback", { config: { permission: "admin" } }, async (request) => {
    const { version } = rollbackBody.parse(request.body ?? {});
    const id = secretId(request.params);
    return { secret: await secrets.rollback(callerOf(request).workspaceId, id, version) };
  });

  app.delete("/api/v1/secrets/:id", { config: { permission: "admin" } }, async (request) => ({
    secret: await secrets.delete(callerOf(request).workspaceId, secretId(request.params)),
  }));
}

function secretId(params: unknown): string {
  return fromPath(z.object({ id: z.guid() }), params, "secret_not_found").id;
}
