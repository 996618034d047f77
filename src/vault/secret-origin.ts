// Which origin a new key is sealed for: the one place where it may ever be sent. Must never let a caller choose another
// origin for a provider that has one.
import { parseOrigin } from "../config-values.ts";
import type { TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { builtInProviders } from "../providers/index.ts";

/**
 * The operator's override, else the provider's own origin, else the `given` one where each customer has their own.
 * Throws RequestError for an unknown provider and for an origin that is missing, malformed or not the provider's.
 */
export async function originOf(
  sql: TransactionSql,
  workspaceId: string,
  provider: string,
  given: string | undefined,
  overrides: ReadonlyMap<string, string>,
): Promise<string> {
  const builtIn = builtInProviders.get(provider);
  const fixed =
    builtIn === undefined
      ? await customOrigin(sql, workspaceId, provider)
      : (overrides.get(provider) ?? builtIn.origin);
  const own = given === undefined ? undefined : parseOrigin(given);
  if (given !== undefined && own === undefined) {
    throw new RequestError(
      422,
      "origin_malformed",
      "An origin is a scheme, a host and at most a port, as in https://llm.example.com.",
    );
  }
  if (fixed !== undefined) {
    if (own === undefined || own === fixed) return fixed;
    throw new RequestError(
      422,
      "origin_fixed",
      `Calls of this provider go to ${fixed}. Leave the origin out, or add a custom provider for another one.`,
    );
  }
  if (own === undefined) {
    throw new RequestError(
      422,
      "origin_required",
      "Every customer of this provider has an origin of their own. Give yours with the key.",
    );
  }
  if (builtIn?.originPattern?.test(own) !== true) {
    throw new RequestError(
      422,
      "origin_of_other_provider",
      "This origin is not one of the provider's. Add a custom provider for another one.",
    );
  }
  return own;
}

async function customOrigin(
  sql: TransactionSql,
  workspaceId: string,
  provider: string,
): Promise<string> {
  const custom = await sql<{ name: string; origin: string }[]>`
    select name, origin from x3sproxy.providers where workspace_id = ${workspaceId} order by name`;
  const found = custom.find(({ name }) => name === provider);
  if (found !== undefined) return found.origin;
  // The unknown name is not repeated: it may be a key that was put into the wrong field.
  const known = [...builtInProviders.keys(), ...custom.map(({ name }) => name)].join(", ");
  throw new RequestError(
    404,
    "provider_unknown",
    `There is no such provider. Known are: ${known}.`,
  );
}
