// Recognises calls that mint or list credentials. The lists stand in the provider rows; here is only how they match.
import { isAmbivalent, pathReadings } from "../platform/path-readings.ts";
import type { ProviderDefinition } from "./definition.ts";

interface Rule {
  /** `<provider>:<endpoint>`. */
  readonly name: string;
  readonly method: string;
  readonly path: RegExp;
}

interface Matcher {
  /** Every sensitive path of a provider in one expression: nearly all calls are done after this. */
  readonly any: RegExp;
  readonly rules: readonly Rule[];
}

export type FindSensitiveEndpoint = (
  provider: string,
  method: string,
  canonicalPath: string,
) => string | undefined;

/** Compiles the rows' lists into one look-up. See `sensitiveEndpoint` in index.ts for what it takes and gives. */
export function createSensitiveEndpoints(
  providers: Iterable<ProviderDefinition>,
): FindSensitiveEndpoint {
  const matchers = new Map<string, Matcher>();
  for (const provider of providers) {
    const endpoints = provider.sensitiveEndpoints;
    if (endpoints.length === 0) continue;
    matchers.set(provider.name, {
      any: compile(endpoints.flatMap(({ paths }) => paths)),
      rules: endpoints.map(({ name, method, paths }) => ({
        name: `${provider.name}:${name}`,
        method,
        path: compile(paths),
      })),
    });
  }
  return (provider, method, canonicalPath) => {
    const matcher = matchers.get(provider);
    if (matcher === undefined) return undefined;
    if (!isAmbivalent(canonicalPath)) return find(matcher, method, canonicalPath);
    const names = new Set(pathReadings(canonicalPath).map((path) => find(matcher, method, path)));
    names.delete(undefined);
    return names.size === 0 ? undefined : [...names].join(" and ");
  };
}

function find({ any, rules }: Matcher, method: string, path: string): string | undefined {
  if (!any.test(path)) return undefined;
  const asked = method === "HEAD" ? "GET" : method;
  return rules.find(
    (rule) => (rule.method === "*" || rule.method === asked) && rule.path.test(path),
  )?.name;
}

function compile(paths: readonly string[]): RegExp {
  const alternatives = paths.map((path) => {
    const deep = path.endsWith("/**");
    const pattern = RegExp.escape(deep ? path.slice(0, -3) : path).replaceAll("\\*", "[^/]*");
    // A colon begins a custom verb (google.aip.dev/136), which acts on the same resource.
    return pattern + (deep ? "(?:[/:]|$)" : "(?::|$)");
  });
  return new RegExp(`^(?:${alternatives.join("|")})`);
}
