// The providers that a workspace can use: the built-in table and its own additions, and where keys are configured.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { CustomProviders } from "../access/index.ts";
import { builtInProviders, type ClientSettings } from "../providers/index.ts";
import type { Secrets } from "../vault/index.ts";
import { callerOf } from "./funnel.ts";
import { fromPath, providerName } from "./names.ts";

const putBody = z.strictObject({
  origin: z.string().max(300),
  header: z.string().max(100).default("authorization"),
  scheme: z.string().max(100).default("Bearer"),
});

interface ProviderView {
  readonly name: string;
  readonly title: string;
  readonly kind: "built-in" | "custom";
  /** Null: each secret names its own. */
  readonly origin: string | null;
  readonly header: string;
  readonly scheme: string;
  /** Where an agent finds the provider's own paths. */
  readonly baseUrl: string;
  /** Environments that have a key. */
  readonly environments: readonly string[];
  /** Endpoints that an agent reaches only when it is allowed them by these names. */
  readonly sensitiveEndpoints: readonly string[];
  readonly client: ClientSettings | null;
}

export function addProviderRoutes(
  app: FastifyInstance,
  options: {
    customProviders: CustomProviders;
    secrets: Secrets;
    publicUrl: string;
    originOverrides: ReadonlyMap<string, string>;
  },
): void {
  const { customProviders, secrets, publicUrl, originOverrides } = options;

  app.get("/api/v1/providers", { config: { permission: "viewer" } }, async (request) => {
    const { workspaceId } = callerOf(request);
    const [keys, custom] = await Promise.all([
      secrets.list(workspaceId),
      customProviders.list(workspaceId),
    ]);
    const shared = (name: string) => ({
      name,
      baseUrl: `${publicUrl}/${name}`,
      environments: keys.filter((key) => key.provider === name).map((key) => key.environment),
    });
    const builtIn = [...builtInProviders.values()].map((provider): ProviderView => ({
      ...shared(provider.name),
      title: provider.title,
      kind: "built-in",
      origin: originOverrides.get(provider.name) ?? provider.origin ?? null,
      header: provider.credential.header,
      scheme: provider.credential.scheme,
      sensitiveEndpoints: provider.sensitiveEndpoints.map((it) => `${provider.name}:${it.name}`),
      client: provider.client,
    }));
    const added = custom.map(({ name, origin, header, scheme }): ProviderView => ({
      ...shared(name),
      title: name,
      kind: "custom",
      origin,
      header,
      scheme,
      sensitiveEndpoints: [],
      client: null,
    }));
    return { providers: [...builtIn, ...added] };
  });

  app.put("/api/v1/providers/:name", { config: { permission: "admin" } }, async (request) => {
    const { name } = z.object({ name: providerName }).parse(request.params);
    const { origin, header, scheme } = putBody.parse(request.body);
    const { workspaceId } = callerOf(request);
    return { provider: await customProviders.put(workspaceId, { name, origin, header, scheme }) };
  });

  app.delete(
    "/api/v1/providers/:name",
    { config: { permission: "admin" } },
    async (request, reply) => {
      const { name } = fromPath(
        z.object({ name: providerName }),
        request.params,
        "provider_not_found",
      );
      await customProviders.delete(callerOf(request).workspaceId, name);
      return reply.code(204).send();
    },
  );
}
