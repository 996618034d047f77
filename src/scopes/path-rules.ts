// Path rules, and their globs: `METHOD /provider/path`, as an agent calls it at the proxy. A rule that begins with `!` denies. Must be asked
// about the canonical path (proxy/path.ts) alone, so that no spelling of a path evades a rule. No regular expression of a rule's text.
import { isAmbivalent, pathReadings } from "../platform/path-readings.ts";

interface Rule {
  readonly denies: boolean;
  /** `*`: every method. */
  readonly method: string;
  readonly provider: string;
  /** Segments of the provider's own path. */
  readonly segments: readonly string[];
}

export interface PathRules {
  /**
   * `path`: the provider's own, canonical. Servers may read it in several ways; in each one, some rule must allow the call and none may deny
   * it.
   */
  allow(method: string, provider: string, path: string): boolean;
}

const RULE =
  /^(!?)(\*|GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\/(?:[a-z0-9-]|\*(?!\*))+)?((?:\/[a-z0-9_.~!$&'()*+,=:@-]+)*)$/;
const MAX_LENGTH = 300;

/** The rule in its canonical spelling: method in upper case, path in lower case, as paths are compared; undefined: it isn't a rule. */
export function canonicalRule(text: string): string | undefined {
  const [, method = "", path = ""] = /^\s*(!?\s*[a-z*]+)\s+(\S+)\s*$/i.exec(text) ?? [];
  const rule = `${method.replace(/\s/g, "").toUpperCase()} ${path.toLowerCase().replace(/(?<=.)\/$/, "")}`;
  return parseRule(rule) === undefined || rule.length > MAX_LENGTH ? undefined : rule;
}

/** The parts of a canonical rule; undefined: it isn't one. `path`: the provider's own. */
export function rulePartsOf(
  rule: string,
): { method: string; provider: string; path: string } | undefined {
  const parsed = parseRule(rule);
  if (parsed === undefined) return undefined;
  const { method, provider, segments } = parsed;
  return { method, provider, path: `/${segments.join("/")}` };
}

/** Compiles rules in canonical spelling. Throws on any other. */
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
      byProvider.set(provider, found); // bounded: only existing providers get here
    }
    return found;
  };
  const allowOne = (method: string, provider: string, path: string): boolean => {
    const segments = path === "/" ? [] : path.slice(1).split("/");
    let allowed = false;
    for (const rule of rulesFor(provider)) {
      if (allowed && !rule.denies) continue;
      if (!matchesMethod(rule.method, method) || !matchesSegments(rule.segments, segments))
        continue;
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

/** A rule for GET allows HEAD, too, which answers with less. */
function matchesMethod(wanted: string, method: string): boolean {
  return wanted === "*" || wanted === method || (wanted === "GET" && method === "HEAD");
}

function parseRule(text: string): Rule | undefined {
  // `/**` means every provider and every path.
  const [, denies, method, provider, path] = RULE.exec(text.replace(/ \/\*\*$/, " /*/**")) ?? [];
  if (method === undefined || provider === undefined) return undefined;
  const segments = (path ?? "").split("/").slice(1);
  if (segments.some((segment) => segment.includes("**") && segment !== "**")) return undefined;
  if (segments.some((segment) => /^\.{1,2}$/.test(segment))) return undefined;
  return { denies: denies === "!", method, provider: provider.slice(1), segments };
}

/** Whether the whole `text` matches `pattern`; `*` stands for any characters, or none. Takes at most pattern × text steps. */
export function matchesGlob(pattern: string, text: string): boolean {
  return matchStars(pattern, text, "*", (a, b) => a === b);
}

/** Whether all segments of a path match; `**` stands for any number of segments, or none; within a segment, as `matchesGlob`. */
export function matchesSegments(pattern: readonly string[], segments: readonly string[]): boolean {
  return matchStars(pattern, segments, "**", (part, segment) =>
    part.includes("*") ? matchesGlob(part, segment) : part === segment,
  );
}

/** Compares both in step. At a difference, the latest star takes one item more; an earlier star never needs to. */
function matchStars(
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
