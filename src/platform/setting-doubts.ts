// Finds settings without effect: misspelt names, entries that can't be read. They don't prevent a start, since a platform may set names of
// its own; they become warnings. Must never repeat a value, or a name that could be one.
import { unreadableEntries } from "./no-proxy.ts";
import { settings, type Environment } from "./settings.ts";
import { likelyMeant } from "./spelling.ts";

export interface Doubt {
  /** A sentence. */
  readonly what: string;
  /** What to write, as a sentence. */
  readonly fix: string;
}

const PREFIX = "X3SPROXY_";

/** All settings that begin with X3SPROXY_, also the command line's, except X3SPROXY_ORIGIN_<PROVIDER>. */
export const SETTINGS: readonly string[] = Object.keys(settings)
  .filter((name) => name.startsWith(PREFIX) && !name.includes("<"))
  .sort();

const KNOWN: ReadonlySet<string> = new Set([
  ...SETTINGS,
  ...["X3SPROXY_TOKEN", "X3SPROXY_URL"], // what `exec` and `agent deploy` set
]);
/** Settings that have no prefix. */
const OTHERS = Object.keys(settings).filter((name) => !name.startsWith(PREFIX));
const ORIGIN = /^X3SPROXY_ORIGIN_[A-Z0-9_]+$/;
// What Kubernetes sets in each pod for a Service whose name begins with x3sproxy (its documentation, "Discovering services").
const OF_SERVICE =
  /^X3SPROXY_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const PORT_OF_SERVICE = /^(?:tcp|udp|sctp):\/\//;
const MAX_NAME = 64;

/** The settings in `env` without effect, in a fixed order. */
export function settingDoubts(env: Environment, noProxy: string | undefined): readonly Doubt[] {
  const names = Object.entries(env)
    .filter(([name, value]) => (value ?? "").trim() !== "" && isStrange(name, value ?? ""))
    .map(([name]) => name)
    .sort();
  return [
    ...names.flatMap(unknownName),
    ...unreadableEntries(noProxy).map((entry) => ({
      what: `NO_PROXY: ${entry} can't be read, and does nothing.`,
      fix: "Write a name, an address, or a block as in 10.0.0.0/8, each with or without :port.",
    })),
  ];
}

function isStrange(name: string, value: string): boolean {
  if (!/^x3/i.test(name) || KNOWN.has(name) || ORIGIN.test(name)) return false;
  return !OF_SERVICE.test(name) && !(name.endsWith("_PORT") && PORT_OF_SERVICE.test(value));
}

function unknownName(name: string): Doubt[] {
  const meant = likelySetting(name.toUpperCase());
  // Perhaps it belongs to another program.
  if (meant === undefined && !name.toUpperCase().startsWith(PREFIX)) return [];
  const shown = /^\w+$/.test(name) && name.length <= MAX_NAME ? name : `${PREFIX}…`;
  return [
    {
      what: `${shown} is no setting of x3sproxy, and does nothing.`,
      fix: meant === undefined ? "All settings are in docs/settings.md." : `Did you mean ${meant}?`,
    },
  ];
}

function likelySetting(name: string): string | undefined {
  if (name.length > MAX_NAME) return undefined;
  const rest = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined;
  if (rest !== undefined && OTHERS.includes(rest)) return rest;
  const most = Math.max(1, Math.floor((rest ?? name).length / 4));
  const near = likelyMeant(name, SETTINGS, most);
  if (near !== undefined) return near;
  if (rest === undefined) return undefined;
  return SETTINGS.find((setting) => setting.startsWith(name) || name.startsWith(setting));
}
