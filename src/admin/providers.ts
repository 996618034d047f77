// The providers that a workspace can use: the built-in table and its own additions, and where keys are configured.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { CustomProviders, CustomProviderView } from "../agents/index.ts";
import { builtInProviders } from "../providers/index.ts";
import type { Secrets, SecretView } from "../vault/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { line, providerName, time } from "./names.ts";
import { addRoute } from "./route.ts";

const putBody = z.strictObject({
  origin: line(300).describe("Scheme, host and port of its API."),
  header: line(100)
    .default("authorization")
    .describe(
      "The header that takes its key. Keys are sealed for origin, header and scheme: save them again when one changes.",
    ),
  scheme: line(100).default("Bearer").describe("The word before the key; may be empty."),
});

const byName = z.object({ name: providerName });

const providerView = z
  .object({
    name: z.string(),
    title: z.string(),
    kind: z.enum(["built-in", "custom"]),
    origin: z.string().nullable().describe("Where its calls go; null: each secret names its own."),
    header: z.string().describe("The header that takes its key."),
    scheme: z.string().describe("The word before the key."),
    baseUrl: z.string().describe("Where an agent finds the provider's own paths."),
    environments: z.array(z.string()).describe("Those that have a key."),
    sensitiveEndpoints: z
      .array(z.string())
      .describe("Endpoints that an agent reaches only when it is allowed them by these names."),
    client: z
      .object({
        baseUrlVariable: z.string().optional(),
        keyVariable: z.string(),
        basePath: z.string(),
        httpsOnly: z.boolean().optional().describe("They send their key over https alone."),
      })
      .nullable()
      .describe("The environment variables that its own clients read."),
  })
  .meta({ id: "Provider" });
type ProviderView = z.input<typeof providerView>;

const customView = z
  .object({
    name: z.string(),
    origin: z.string(),
    header: z.string(),
    scheme: z.string(),
    createdAt: time,
  })
  .meta({ id: "CustomProvider" });

export function addProviderRoutes(
  app: FastifyInstance,
  options: {
    customProviders: CustomProviders;
    secrets: Secrets;
    publicUrl: string;
    originOverrides: ReadonlyMap<string, string>;
  },
): void {
  const { customProviders, secrets } = options;

  addRoute(app, {
    method: "GET",
    path: "/providers",
    summary: "List the providers, built-in and added, and where keys are saved",
    permission: "viewer",
    answer: z.object({ providers: z.array(providerView) }),
    async handle({ request }) {
      const { workspaceId } = callerOf(request);
      const [keys, custom] = await Promise.all([
        secrets.list(workspaceId),
        customProviders.list(workspaceId),
      ]);
      return { providers: [...builtIn(options, keys), ...added(options, keys, custom)] };
    },
  });

  addRoute(app, {
    method: "PUT",
    path: "/providers/:name",
    summary: "Add a provider of your own, or replace it",
    permission: "admin",
    fresh: true,
    params: z.object({ name: z.string() }),
    body: putBody,
    example: { origin: "https://llm.example.com", header: "x-gateway-key", scheme: "" },
    answer: z.object({ provider: customView }),
    async handle({ params, body, request }) {
      const { name } = byName.parse(params);
      return { provider: await customProviders.put(actorOf(request), { name, ...body }) };
    },
  });

  addRoute(app, {
    method: "DELETE",
    path: "/providers/:name",
    summary: "Delete a provider of your own",
    permission: "admin",
    fresh: true,
    params: byName,
    unknown: "provider_not_found",
    handle: ({ params, request }) => customProviders.delete(actorOf(request), params.name),
  });
}

interface Places {
  readonly publicUrl: string;
  readonly originOverrides: ReadonlyMap<string, string>;
}

function builtIn(places: Places, keys: readonly SecretView[]): ProviderView[] {
  return [...builtInProviders.values()].map((provider) => ({
    ...shared(places, keys, provider.name),
    title: provider.title,
    kind: "built-in",
    origin: places.originOverrides.get(provider.name) ?? provider.origin ?? null,
    header: provider.credential.header,
    scheme: provider.credential.scheme,
    sensitiveEndpoints: provider.sensitiveEndpoints.map((it) => `${provider.name}:${it.name}`),
    client: provider.client,
  }));
}

function added(
  places: Places,
  keys: readonly SecretView[],
  custom: readonly CustomProviderView[],
): ProviderView[] {
  return custom.map(({ name, origin, header, scheme }) => ({
    ...shared(places, keys, name),
    title: name,
    kind: "custom",
    origin,
    header,
    scheme,
    sensitiveEndpoints: [],
    client: null,
  }));
}

function shared({ publicUrl }: Places, keys: readonly SecretView[], name: string) {
  return {
    name,
    baseUrl: `${publicUrl}/${name}`,
    environments: keys.filter((key) => key.provider === name).map((key) => key.environment),
  };
}
