// Rules and paths with encoded slashes, question marks and number signs in them, and what each server behind may read of such a path.
import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalRule, compileRules } from "../../src/scopes/path-rules.ts";
import { canonicalPath } from "../../src/proxy/path.ts";

/** Throws when rules allow a path of which some server reads what they do not allow, or refuse one that all read as allowed. */
export function checkReadings(o: { seed?: number; numRuns: number }): void {
  const names = ["a", "b", "secret", "models", "v1", "arn:x"];
  const name = fc.constantFrom(...names);
  const joint = fc.constantFrom("/", "/", "%2f", "%2F", "%3f", "%23", "%3F");
  const path = fc
    .array(fc.tuple(joint, name), { minLength: 1, maxLength: 5 })
    .map((parts) => `/v1/models/a${parts.map((part) => part.join("")).join("")}`);
  const rule = fc
    .tuple(
      fc.constantFrom("", "!"),
      fc.array(fc.constantFrom(...names, "*", "**", "a*"), { minLength: 1, maxLength: 5 }),
    )
    .map(([denies, segments]) => `${denies}* /together/${segments.join("/")}`);
  const rules = fc.array(rule, { maxLength: 4 }).map((some) => [...some, "* /together/v1/**"]);

  // What servers may have before them: segments, decoded before or after they are told apart, up to a decoded end or past it.
  const views = (raw: string): string[][] => {
    const cut = (text: string): string => text.split(/[?#]/)[0] ?? "";
    const kept = raw.split("/").slice(1).map(decodeURIComponent);
    const halfway = raw.replaceAll(/%2f/gi, "/").split("/").slice(1).map(decodeURIComponent);
    const end = raw.search(/%3f|%23/i);
    const beforeEnd = (end < 0 ? raw : raw.slice(0, end)).split("/").slice(1);
    return [
      kept,
      halfway,
      cut(decodeURIComponent(raw)).split("/").slice(1),
      beforeEnd.map(decodeURIComponent),
    ];
  };
  const fits = (pattern: string, view: readonly string[]): boolean => {
    const source = pattern
      .split("/")
      .slice(2)
      .map((part) => (part === "**" ? "(?:\\0[^\\0]*)*" : `\\0${part.replaceAll("*", "[^\\0]*")}`))
      .join("");
    return new RegExp(`^${source}$`).test(view.map((segment) => `\0${segment}`).join(""));
  };
  let allowed = 0;
  let refused = 0;
  fc.assert(
    fc.property(rules, path, (list, raw) => {
      const canonical = canonicalPath(raw, "together");
      if (canonical === undefined) return;
      const texts = list.map((text) => canonicalRule(text) ?? assert.fail(text));
      const expected = views(raw).every(
        (view) =>
          texts.some((text) => !text.startsWith("!") && fits(text, view)) &&
          !texts.some((text) => text.startsWith("!") && fits(text, view)),
      );
      assert.equal(compileRules(texts).allow("GET", "together", canonical), expected, raw);
      if (expected) allowed++;
      else refused++;
    }),
    o,
  );
  assert.ok(allowed > 500 && refused > 500, `${allowed} ${refused}`);
}
