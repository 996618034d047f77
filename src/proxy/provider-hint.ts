// Tells whoever called no provider which one may be meant. Names built-in providers and nothing else: nothing of the request, and no
// custom provider, of which strangers must not learn.
import { builtInProviders } from "../providers/index.ts";
import { likelyMeant } from "../spelling.ts";

// What paths of providers begin with.
const BEGINS_A_PATH =
  /^(?:v\d[a-z\d]*|api|chat|models|messages|responses|completions|embeddings)$/i;
const LONGEST_TYPED = 20;

/** A sentence and a space about `asked`, which stands where a provider's name belongs and is none; empty: nothing is near it. */
export function providerHint(asked: string | undefined): string {
  if (asked === undefined || asked.length > LONGEST_TYPED) return "";
  if (BEGINS_A_PATH.test(asked)) {
    return "Here the provider's own path comes first: put the provider's name before it. ";
  }
  const typed = asked.toLowerCase();
  // Of a short name, two letters are too much of it.
  const nearest = likelyMeant(typed, builtInProviders.keys(), typed.length < 5 ? 1 : 2);
  return nearest === undefined ? "" : `Is "${nearest}" meant? `;
}
