// The providers that a workspace can use, built in and added, and the templates of scopes, which are rules for their paths.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { environmentName, line, providerName, time } from "./fields.ts";

const putBody = z.strictObject({
  origin: line(300).describe("Scheme, host and port of its API."),
  header: line(100)
    .default("authorization")
    .describe(
      "The header that takes its key. Keys are sealed for origin, header and scheme: save them again when one changes.",
    ),
  scheme: line(100).default("Bearer").describe("The word before the key; may be empty."),
});

// These values are set in an agent's environment, also by a shell that evaluates them. A service that lies must not be able to set a variable
// with a meaning for the shell or the system (such as PATH), or to end a value's quotation marks.
const VARIABLE =
  /^(?:[A-Z][A-Z0-9]*_)+(?:KEY|TOKEN|URL|ENDPOINT)$|^AWS_(?:BEARER_TOKEN|ENDPOINT_URL)_[A-Z_]+$/;
const BASE_URL = /^https?:\/\/[\w.:[\]%~/!&()*+,;=@-]+$/;
const BASE_PATH = /^(?:\/[\w.~-]+)*\/?$/;

const byProvider = z.object({ name: providerName });

const provider = z
  .object({
    name: providerName,
    title: z.string(),
    kind: z.enum(["built-in", "custom"]),
    origin: z.string().nullable().describe("Where its calls go; null: each secret names its own."),
    header: z.string().describe("The header that takes its key."),
    scheme: z.string().describe("The word before the key."),
    baseUrl: z.string().regex(BASE_URL).describe("Where an agent finds the provider's own paths."),
    environments: z.array(environmentName).describe("Those that have a key."),
    sensitiveEndpoints: z
      .array(z.string())
      .describe("Endpoints that an agent reaches only when it is allowed them by these names."),
    client: z
      .object({
        baseUrlVariable: z.string().regex(VARIABLE).optional(),
        keyVariable: z.string().regex(VARIABLE),
        basePath: z.string().regex(BASE_PATH),
        httpsOnly: z.boolean().optional().describe("They send their key over https alone."),
      })
      .nullable()
      .describe("The environment variables that its own clients read."),
  })
  .meta({ id: "Provider" });
export type Provider = z.infer<typeof provider>;

const customProvider = z
  .object({
    name: z.string(),
    origin: z.string(),
    header: z.string(),
    scheme: z.string(),
    createdAt: time,
  })
  .meta({ id: "CustomProvider" });

const scopeTemplate = z
  .object({
    name: z.string(),
    title: z.string(),
    description: z.string(),
    rules: z.array(z.string()).describe("As an agent's scope takes them."),
  })
  .meta({ id: "ScopeTemplate" });
export type ScopeTemplate = z.infer<typeof scopeTemplate>;

export const providerRoutes = {
  "GET /providers": {
    summary: "List the providers, built-in and added, and where keys are saved",
    permission: "viewer",
    answer: z.object({ providers: z.array(provider) }),
  },

  "PUT /providers/:name": {
    summary: "Add a provider of your own, or replace it",
    permission: "admin",
    fresh: true,
    params: z.object({ name: z.string() }),
    body: putBody,
    example: { origin: "https://llm.example.com", header: "x-gateway-key", scheme: "" },
    answer: z.object({ provider: customProvider }),
  },

  "DELETE /providers/:name": {
    summary: "Delete a provider of your own",
    permission: "admin",
    fresh: true,
    params: byProvider,
    unknown: "provider_not_found",
  },

  "GET /scope-templates": {
    summary: "List templates of scopes: rules to begin with",
    permission: "viewer",
    answer: z.object({ templates: z.array(scopeTemplate) }),
  },
} satisfies Routes;
export type ProviderRoutes = typeof providerRoutes;
