// Suggests a provider when a request names none that exists. Names only built-in providers: never a part of the request, and never a custom
// provider, which callers without a token must not learn of.
import { builtInProviders } from "../providers/index.ts";
import { likelyMeant } from "../platform/spelling.ts";

// First segments of providers' own paths.
const BEGINS_A_PATH =
  /^(?:v\d[a-z\d]*|api|chat|models|messages|responses|completions|embeddings)$/i;
const LONGEST_TYPED = 20;

/** A sentence and a space about `asked`, which stands in the place of a provider's name; empty: no name is near it. */
export function providerHint(asked: string | undefined): string {
  if (asked === undefined || asked.length > LONGEST_TYPED) return "";
  if (BEGINS_A_PATH.test(asked)) {
    return "Here the provider's own path comes first: put the provider's name before it. ";
  }
  const typed = asked.toLowerCase();
  // In a short name, two wrong letters are too many.
  const nearest = likelyMeant(typed, builtInProviders.keys(), typed.length < 5 ? 1 : 2);
  return nearest === undefined ? "" : `Is "${nearest}" meant? `;
}
