// Path rules: `METHOD /provider/path`, as an agent calls it at the proxy. A rule that begins with `!` denies. Rules are compared with the
// canonical path (proxy/path.ts), so no spelling of a path gets past them.
import { isAmbivalent, pathReadings } from "../platform/path-readings.ts";

interface Rule {
  readonly denies: boolean;
  /** `*`: every one. */
  readonly method: string;
  readonly provider: string;
  /** The segments of the provider's own path. */
  readonly segments: readonly string[];
}

export interface PathRules {
  /**
   * `path`: the provider's own, canonical. In each reading of the path that a server may have, some rule must allow the call and none may
   * deny it.
   */
  allow(method: string, provider: string, path: string): boolean;
}

const RULE =
  /^(!?)(\*|GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\/(?:[a-z0-9-]|\*(?!\*))+)?((?:\/[a-z0-9_.~!$&'()*+,=:@-]+)*)$/;
const LONGEST = 300;

/** The canonical spelling of a rule: method in capitals, path in lower case. Undefined if it is not a rule. */
export function canonicalRule(text: string): string | undefined {
  const [, method = "", path = ""] = /^\s*(!?\s*[a-z*]+)\s+(\S+)\s*$/i.exec(text) ?? [];
  const rule = `${method.replace(/\s/g, "").toUpperCase()} ${path.toLowerCase().replace(/(?<=.)\/$/, "")}`;
  return parseRule(rule) === undefined || rule.length > LONGEST ? undefined : rule;
}

/** The parts of a canonical rule. Undefined if it is not a rule. `path`: the provider's own. */
export function rulePartsOf(
  rule: string,
): { method: string; provider: string; path: string } | undefined {
  const parsed = parseRule(rule);
  if (parsed === undefined) return undefined;
  const { method, provider, segments } = parsed;
  return { method, provider, path: `/${segments.join("/")}` };
}

/** Compiles canonical rules. Throws on any other. */
export function compileRules(texts: readonly string[]): PathRules {
  const rules = texts.map((text) => {
    const rule = parseRule(text);
    if (rule === undefined) throw new Error("a stored path rule is malformed");
    return rule;
  });
  const byProvider = new Map<string, readonly Rule[]>();
  const rulesFor = (provider: string): readonly Rule[] => {
    let found = byProvider.get(provider);
    if (found === undefined) {
      found = rules.filter((rule) => matchesGlob(rule.provider, provider));
      byProvider.set(provider, found); // providers are few: only known ones get here
    }
    return found;
  };
  const allowOne = (method: string, provider: string, path: string): boolean => {
    const segments = path === "/" ? [] : path.slice(1).split("/");
    let allowed = false;
    for (const rule of rulesFor(provider)) {
      if (allowed && !rule.denies) continue;
      if (!takes(rule.method, method) || !matchesSegments(rule.segments, segments)) continue;
      if (rule.denies) return false;
      allowed = true;
    }
    return allowed;
  };
  return {
    allow: (method, provider, path) =>
      isAmbivalent(path)
        ? pathReadings(path).every((reading) => allowOne(method, provider, reading))
        : allowOne(method, provider, path),
  };
}

/** A rule for GET covers HEAD, which tells less. */
function takes(wanted: string, method: string): boolean {
  return wanted === "*" || wanted === method || (wanted === "GET" && method === "HEAD");
}

function parseRule(text: string): Rule | undefined {
  // `/**` is every provider and every path.
  const [, denies, method, provider, path] = RULE.exec(text.replace(/ \/\*\*$/, " /*/**")) ?? [];
  if (method === undefined || provider === undefined) return undefined;
  const segments = (path ?? "").split("/").slice(1);
  if (segments.some((segment) => segment.includes("**") && segment !== "**")) return undefined;
  if (segments.some((segment) => /^\.{1,2}$/.test(segment))) return undefined;
  return { denies: denies === "!", method, provider: provider.slice(1), segments };
}

// Patterns with stars. A match costs at most pattern × text, whatever both are: no regular expression that could run for ever.

/** Whether `text` matches `pattern` as a whole; `*` stands for any characters, also none. */
export function matchesGlob(pattern: string, text: string): boolean {
  return walk(pattern, text, "*", (a, b) => a === b);
}

/** Whether the segments of a path match; `**` stands for any number of segments, also none, `*` within one as in `matchesGlob`. */
export function matchesSegments(pattern: readonly string[], segments: readonly string[]): boolean {
  return walk(pattern, segments, "**", (part, segment) =>
    part.includes("*") ? matchesGlob(part, segment) : part === segment,
  );
}

/** Walks along both. When they differ, the latest star takes one more item; earlier stars need never be tried again. */
function walk(
  pattern: ArrayLike<string>,
  text: ArrayLike<string>,
  star: string,
  same: (part: string, item: string) => boolean,
): boolean {
  let p = 0;
  let starAt = -1;
  let resumeAt = 0;
  for (let t = 0; t < text.length;) {
    const part = pattern[p];
    if (part === star) {
      starAt = p++;
      resumeAt = t;
    } else if (part !== undefined && same(part, text[t] ?? "")) {
      p++;
      t++;
    } else if (starAt >= 0) {
      p = starAt + 1;
      t = ++resumeAt;
    } else return false;
  }
  while (pattern[p] === star) p++;
  return p === pattern.length;
}
