// Tells from a key's looks that it is in the wrong place. Its sentences name providers and known prefixes, never the key.
import type { ProviderDefinition } from "./definition.ts";

// Refused wherever they are put: with one of these an agent could make keys of its own, or act as a person.
const NEVER_FOR_AGENTS: readonly { pattern: RegExp; problem: string }[] = [
  {
    pattern: /^sk-ant-admin/,
    problem:
      "This is an Anthropic admin key (sk-ant-admin…). It can make and list keys, so no agent may use it: " +
      "give a normal API key (sk-ant-api…).",
  },
  {
    // Needs another header and a beta flag, expires within hours, and can be traded for API keys.
    pattern: /^sk-ant-o[ar]t/,
    problem:
      "This is the token of a person's Claude login (sk-ant-oat… or sk-ant-ort…), not an API key. " +
      "Make an API key (sk-ant-api…) in the Anthropic console and give that.",
  },
  {
    pattern: /^sk-admin-/,
    problem:
      "This is an OpenAI admin key (sk-admin-…). It can make and list keys, so no agent may use it: " +
      "give a project's API key (sk-proj-… or sk-svcacct-…).",
  },
];

/**
 * What is wrong with `value` as a key for `provider` (undefined: a custom one), as a sentence for whoever is adding it;
 * or undefined. Only distinctive shapes count: a key of no known shape passes, since gateways hand out keys of any form.
 */
export function findKeyProblem(
  providers: readonly ProviderDefinition[],
  provider: ProviderDefinition | undefined,
  value: string,
): string | undefined {
  const refused = NEVER_FOR_AGENTS.find(({ pattern }) => pattern.test(value));
  if (refused !== undefined) return refused.problem;
  if (provider === undefined) return undefined;
  const owner = providers.find(({ keyPattern }) => keyPattern?.test(value) === true);
  if (owner === undefined || owner === provider) return undefined;
  return (
    `This looks like a key of ${owner.title}, not of ${provider.title}. ` +
    `Add it to the provider "${owner.name}", or give the key of ${provider.title} here.`
  );
}

// The shortest key of any provider is longer. A run without separators is a key of Azure or Mistral, or might be one.
const SHORTEST_KEY = 20;
const NOBODYS_KEY = /^(?:[sp]k[-_]|[A-Za-z0-9]{32,}$)/;

// Of clouds: access keys of AWS, OAuth tokens of Google.
const OF_CLOUDS = /^(?:(?:AKIA|ASIA)[A-Z2-7]{16}$|ya29\.)/;

/** Whether a key of a provider or of a cloud stands in `text`, alone or among other things: only distinctive shapes count. */
export function holdsKey(providers: readonly ProviderDefinition[], text: string): boolean {
  // Some have slashes in them; others stand behind one, in a URL. The folders of an absolute path are none.
  const words = text.split(/[^\w.+/-]+/).filter((word) => !/^\/(?!\/)/.test(word));
  return [...words, ...words.flatMap((word) => word.split(/[+/]+/))].some(
    (part) =>
      part.length >= SHORTEST_KEY &&
      (OF_CLOUDS.test(part) || providers.some(({ keyPattern }) => keyPattern?.test(part) === true)),
  );
}

/** Tells whether a text might be a provider's key that stands where none belongs, and so should not be repeated. */
export function createKeyDetector(
  providers: readonly ProviderDefinition[],
): (text: string) => boolean {
  const patterns = providers.flatMap(({ keyPattern }) => keyPattern ?? []);
  // As one pattern, which is read once: calls are asked about by the thousand.
  const anyKey = new RegExp(
    [NOBODYS_KEY, ...patterns].map(({ source }) => `(?:${source})`).join("|"),
  );
  return (text) => text.length >= SHORTEST_KEY && anyKey.test(text);
}
