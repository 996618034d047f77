// Knows at which paths a segment may hold an encoded slash, because it is a name that has one in it. The places stand in the provider
// rows; here is only how they are compared. Elsewhere such a path is ambiguous.
import type { ProviderDefinition } from "./definition.ts";

// AWS's resource names hold a slash, which its SDKs encode. How they begin keeps them from standing for anything else.
const RESOURCE_NAME = /^arn:[\w:-]+(?:%2f[\w:-][\w:.-]*)+$/i;

export type MayHoldSlashes = (provider: string, canonicalPath: string) => boolean;

/** Compiles the rows' places into one look-up. See `mayHoldSlashes` in index.ts for what it takes and gives. */
export function createSlashedNames(
  providers: Iterable<Pick<ProviderDefinition, "name" | "slashedNames">>,
): MayHoldSlashes {
  const known = new Map<string, RegExp>();
  for (const { name, slashedNames } of providers) {
    if (slashedNames !== undefined) known.set(name, compile(slashedNames));
  }
  return (provider, canonicalPath) =>
    canonicalPath
      .split("/")
      .every((segment) => !segment.includes("%2f") || RESOURCE_NAME.test(segment)) ||
    known.get(provider)?.test(canonicalPath) === true;
}

function compile(paths: readonly string[]): RegExp {
  const alternatives = paths.map((path) =>
    RegExp.escape(path)
      .replaceAll("\\{name\\}", "[^/]+")
      // Only the name may hold one.
      .replaceAll("\\*", "[^/%]+"),
  );
  return new RegExp(`^(?:${alternatives.join("|")})$`);
}
