// Providers over REST: built-in ones and the workspace's own, with the environments that have a key; and the scope templates, which are
// the same for every workspace.
import { z } from "zod";
import type { CustomProviders, CustomProviderView } from "../agents/index.ts";
import { providerName, type Provider, type ProviderRoutes } from "../contract/index.ts";
import { builtInProviders } from "../providers/index.ts";
import { scopeTemplates } from "../scopes/index.ts";
import type { Secrets, SecretView } from "../vault/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import type { HandlersOf } from "./route.ts";

// A malformed name is the caller's mistake (422), not a missing provider (404).
const newName = z.object({ name: providerName });

export function providerHandlers(options: {
  customProviders: CustomProviders;
  secrets: Secrets;
  publicUrl: string;
  originOverrides: ReadonlyMap<string, string>;
}): HandlersOf<ProviderRoutes> {
  const { customProviders, secrets } = options;

  return {
    "GET /providers": async ({ request }) => {
      const { workspaceId } = callerOf(request);
      const [keys, custom] = await Promise.all([
        secrets.list(workspaceId),
        customProviders.list(workspaceId),
      ]);
      return { providers: [...builtIn(options, keys), ...added(options, keys, custom)] };
    },

    "PUT /providers/:name": async ({ params, body, request }) => {
      const { name } = newName.parse(params);
      return { provider: await customProviders.put(actorOf(request), { name, ...body }) };
    },

    "DELETE /providers/:name": ({ params, request }) =>
      customProviders.delete(actorOf(request), params.name),

    "GET /scope-templates": () =>
      Promise.resolve({
        templates: scopeTemplates.map((template) => ({ ...template, rules: [...template.rules] })),
      }),
  };
}

interface Places {
  readonly publicUrl: string;
  readonly originOverrides: ReadonlyMap<string, string>;
}

function builtIn(places: Places, keys: readonly SecretView[]): Provider[] {
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
): Provider[] {
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
