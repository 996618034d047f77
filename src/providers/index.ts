// The door to what is known of providers: their table, and the questions that other rooms ask about it. Pure: does no
// I/O and keeps no key.
import type { ProviderDefinition } from "./definition.ts";
import { findKeyProblem, mightBeKey } from "./key-shapes.ts";
import { MODEL_HOSTS } from "./model-hosts.ts";
import { MODEL_MAKERS } from "./model-makers.ts";
import { createModelPlaces, type FindModelPlace } from "./model-places.ts";
import { createSensitiveEndpoints } from "./sensitive-endpoints.ts";

export type {
  ClientSettings,
  CredentialScheme,
  ErrorShape,
  ModelPlace,
  ProviderDefinition,
  ProviderProbe,
  SensitiveEndpoint,
} from "./definition.ts";
export { errorBody } from "./error-shapes.ts";
export { foldedHash, foldName } from "./fold-name.ts";
export { compileMembers, type Member } from "./model-members.ts";
export type { FoundPlace, ModelCall } from "./model-places.ts";

const PROVIDERS = [...MODEL_MAKERS, ...MODEL_HOSTS];

/** The built-in providers by name. */
export const builtInProviders: ReadonlyMap<string, ProviderDefinition> = new Map(
  PROVIDERS.map((provider) => [provider.name, provider]),
);

/**
 * The sensitive endpoint that a call hits, as `<provider>:<name>`, or undefined; always undefined for a custom provider.
 * `canonicalPath` is decoded and lower-case, without empty segments or a trailing slash. HEAD counts as GET.
 */
export const sensitiveEndpoint: (
  provider: string,
  method: string,
  canonicalPath: string,
) => string | undefined = createSensitiveEndpoints(PROVIDERS);

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
export function looksLikeKey(text: string): boolean {
  return mightBeKey(PROVIDERS, text);
}
