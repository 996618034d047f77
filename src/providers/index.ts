// The door to what is known of providers: their table, and the questions that other rooms ask about it. Pure: does no
// I/O and keeps no key.
import type { ProviderDefinition } from "./definition.ts";
import { createKeyDetector, findKeyProblem, holdsKey } from "./key-shapes.ts";
import { createKeyVariables } from "./key-variables.ts";
import { MODEL_HOSTS } from "./model-hosts.ts";
import { MODEL_MAKERS } from "./model-makers.ts";
import { createModelPlaces, type FindModelPlace } from "./model-places.ts";
import { createSensitiveEndpoints } from "./sensitive-endpoints.ts";
import { createSlashedNames } from "./slashed-names.ts";

export type {
  ClientSettings,
  CredentialScheme,
  ErrorShape,
  ModelPlace,
  ProviderDefinition,
  ProviderProbe,
  SensitiveEndpoint,
} from "./definition.ts";
export { mayCarryKey } from "./credential-places.ts";
export { errorBody } from "./error-shapes.ts";
export { foldedHash, foldName } from "./model-members.ts";
export { compileMembers, type Member } from "./model-members.ts";
export type { FoundPlace, ModelCall } from "./model-places.ts";

const PROVIDERS = [...MODEL_MAKERS, ...MODEL_HOSTS];

/** The built-in providers by name. */
export const builtInProviders: ReadonlyMap<string, ProviderDefinition> = new Map(
  PROVIDERS.map((provider) => [provider.name, provider]),
);

/**
 * The sensitive endpoint that a call hits, as `<provider>:<name>`, or undefined; always undefined for a custom provider.
 * `canonicalPath` is decoded and lower-case, without empty segments or a trailing slash. HEAD counts as GET. When readings of the path
 * hit different ones it is all of their names, which nobody can be allowed.
 */
export const sensitiveEndpoint: (
  provider: string,
  method: string,
  canonicalPath: string,
) => string | undefined = createSensitiveEndpoints(PROVIDERS);

/**
 * Whether each segment of a canonical path that holds an encoded slash is a name that may: of this provider's, or a resource name of
 * AWS at any.
 */
export const mayHoldSlashes: (provider: string, canonicalPath: string) => boolean =
  createSlashedNames(PROVIDERS);

/** Whether a provider answers a call without a look at its key, as far as it is known: then the answer says nothing of the key. */
export function isForEverybody(provider: string, method: string, canonicalPath: string): boolean {
  if (method === "OPTIONS") return true;
  if (method !== "GET" && method !== "HEAD") return false;
  const open = builtInProviders.get(provider)?.openPaths ?? [];
  return open.some((path) => canonicalPath === path || canonicalPath.startsWith(`${path}/`));
}

/** Where a call names its model. */
export const modelPlace: FindModelPlace = createModelPlaces(PROVIDERS);

/** What is wrong with a key for this provider (undefined: a custom one), as a sentence that never quotes it; or undefined. */
export function keyProblem(
  provider: ProviderDefinition | undefined,
  value: string,
): string | undefined {
  return findKeyProblem(PROVIDERS, provider, value);
}

/** Whether `text` might be a provider's key that stands where none belongs: a log or a message leaves it out. */
export const looksLikeKey: (text: string) => boolean = createKeyDetector(PROVIDERS);

/** Whether an environment variable of this name holds a key of a provider or a cloud, or leads to one. */
export const isKeyVariable: (name: string) => boolean = createKeyVariables(PROVIDERS);

/** Whether there is, somewhere in `text`, what only keys of a provider or a cloud look like. */
export function holdsProvidersKey(text: string): boolean {
  return holdsKey(PROVIDERS, text);
}
