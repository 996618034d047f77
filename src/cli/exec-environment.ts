// The environment of a command that runs with a lease: its own as it was, the agent's settings in it, and no credential that is not the
// agent's. Pure.
import { environmentOf } from "./agent-environment.ts";
import type { ProviderView } from "./api.ts";

export interface ExecEnvironment {
  readonly variables: NodeJS.ProcessEnv;
  /** The names of those that were set and, perhaps unexpectedly, are not passed on. */
  readonly removed: readonly string[];
}

/** What opens the service itself, or leads to what does. That it is left out goes without saying. */
const OURS = "X3SPROXY_";
const STORES: ReadonlySet<string> = new Set([
  ...["DATABASE_URL", "DATABASE_URL_FILE", "PGPASSWORD"],
  ...["REDIS_URL", "REDIS_URL_FILE"],
]);

/** Other names than the table of providers has, under which clients look for a key. */
const OTHER_KEYS: ReadonlySet<string> = new Set([
  "ANTHROPIC_AUTH_TOKEN",
  "ANTHROPIC_ADMIN_KEY",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "OPENAI_ADMIN_KEY",
  "CODEX_API_KEY",
  "GOOGLE_API_KEY",
  "GOOGLE_GENERATIVE_AI_API_KEY",
  "COHERE_API_KEY",
  "AZURE_OPENAI_AD_TOKEN",
  "HUGGING_FACE_HUB_TOKEN",
  "HUGGINGFACE_API_KEY",
]);

/** `usable`: the providers whose variables are set. `all`: those whose keys are known by name. */
export function execEnvironment(
  inherited: NodeJS.ProcessEnv,
  o: {
    usable: readonly ProviderView[];
    all: readonly ProviderView[];
    token: string;
    url: string;
  },
): ExecEnvironment {
  const own = environmentOf(o.usable, o.token).set("X3SPROXY_TOKEN", o.token);
  own.set("X3SPROXY_URL", o.url);
  const keys = new Set(
    o.all.flatMap(({ client }) => (client === null ? [] : [client.keyVariable])),
  );
  const isForeign = (name: string): boolean =>
    !own.has(name) && (keys.has(name) || OTHER_KEYS.has(name) || STORES.has(name));
  const kept = Object.entries(inherited).filter(
    ([name]) => !isForeign(name) && !name.startsWith(OURS),
  );
  const removed = Object.keys(inherited).filter(isForeign).sort();
  return { variables: { ...Object.fromEntries(kept), ...Object.fromEntries(own) }, removed };
}
