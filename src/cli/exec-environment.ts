// The environment of a command that runs with a lease: its own as it was, the agent's settings in it, and no credential that is not the
// agent's, by its name or by its looks. Pure.
import type { Provider } from "../contract/index.ts";
import { environmentOf } from "./agent-environment.ts";
import { holdsProvidersKey, isKeyVariable } from "../providers/index.ts";

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

/** `usable`: the providers whose variables are set. `all`: those whose keys are known by name. */
export function execEnvironment(
  inherited: NodeJS.ProcessEnv,
  o: {
    usable: readonly Provider[];
    all: readonly Provider[];
    token: string;
    url: string;
  },
): ExecEnvironment {
  const own = environmentOf(o.usable, o.token).set("X3SPROXY_TOKEN", o.token);
  own.set("X3SPROXY_URL", o.url);
  const keys = new Set(
    o.all.flatMap(({ client }) => (client === null ? [] : [client.keyVariable])),
  );
  const isForeign = ([name, value = ""]: readonly [string, string | undefined]): boolean =>
    !own.has(name) &&
    (keys.has(name) || STORES.has(name) || isKeyVariable(name) || holdsProvidersKey(value));
  const theirs = Object.entries(inherited).filter(([name]) => !name.startsWith(OURS));
  const kept = theirs.filter((each) => !isForeign(each));
  const removed = theirs.filter(isForeign).map(([name]) => name);
  return {
    variables: { ...Object.fromEntries(kept), ...Object.fromEntries(own) },
    removed: removed.sort(),
  };
}
