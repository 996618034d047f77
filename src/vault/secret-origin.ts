// Where a key may be sent: the origin, the header and the scheme that it is sealed for. Must never let a caller choose others for a
// provider that defines them.
import { parseOrigin } from "../platform/config-values.ts";
import type { TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { builtInProviders, mayCarryKey, type ProviderDefinition } from "../providers/index.ts";
import { didYouMean } from "../platform/spelling.ts";
import type { Place } from "./sealing.ts";

export type Destination = Pick<Place, "origin" | "header" | "scheme">;

/**
 * The destination of a key that is saved now. The origin is the operator's override, else the provider's, else the `given` one where
 * each customer has an origin; header and scheme are the provider's. Throws RequestError for an unknown provider, for an origin that is
 * missing, malformed or not the provider's, and for a custom provider whose header may not carry a key. Locks a custom provider's row,
 * so that it can't change until the transaction ends.
 */
export async function destinationOf(
  sql: TransactionSql,
  workspaceId: string,
  provider: string,
  given: string | undefined,
  overrides: ReadonlyMap<string, string>,
): Promise<Destination> {
  const builtIn = builtInProviders.get(provider);
  if (builtIn !== undefined) {
    const fixed = overrides.get(provider) ?? builtIn.origin;
    return { origin: originOf(builtIn, fixed, given), ...builtIn.credential };
  }
  const { origin, header, scheme } = await customDestination(sql, workspaceId, provider);
  if (!mayCarryKey(header)) {
    throw new RequestError(
      422,
      "header_refused",
      "The provider's header may not carry a key. Change it first.",
    );
  }
  return { origin: originOf(undefined, origin, given), header, scheme };
}

function originOf(
  builtIn: ProviderDefinition | undefined,
  fixed: string | undefined,
  given: string | undefined,
): string {
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

async function customDestination(
  sql: TransactionSql,
  workspaceId: string,
  provider: string,
): Promise<Destination> {
  const [found] = await sql<Destination[]>`
    select origin, header, scheme from x3sproxy.providers
    where workspace_id = ${workspaceId} and name = ${provider} for share`;
  if (found !== undefined) return found;
  const custom = await sql<{ name: string }[]>`
    select name from x3sproxy.providers where workspace_id = ${workspaceId} order by name`;
  // The unknown name is not repeated: it may be a key that was put into the wrong field.
  const known = [...builtInProviders.keys(), ...custom.map(({ name }) => name)];
  throw new RequestError(
    404,
    "provider_unknown",
    `There is no such provider.${didYouMean(provider, known)} Known are: ${known.join(", ")}.`,
  );
}

/** Why calls with a key are refused before it is opened: its provider has another destination now, or was removed. */
export type Misplacement = "provider_changed" | "provider_removed";

/** By id, those of the given secrets whose active version is misplaced. */
export async function misplacements(
  sql: TransactionSql,
  workspaceId: string,
  secretIds: readonly string[],
  overrides: ReadonlyMap<string, string>,
): Promise<Map<string, Misplacement>> {
  const found = new Map<string, Misplacement>();
  if (secretIds.length === 0) return found;
  const rows = await sql<
    (Destination & { id: string; provider: string; custom: Destination | null })[]
  >`
    select s.id, s.provider, v.origin, v.header, v.scheme,
      case when p.name is not null then jsonb_build_object('origin', p.origin, 'header', p.header, 'scheme', p.scheme) end as custom
    from x3sproxy.secrets s
    join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version
    left join x3sproxy.providers p on p.workspace_id = s.workspace_id and p.name = s.provider
    where s.workspace_id = ${workspaceId} and s.id in ${sql(secretIds)}`;
  for (const { id, provider, custom, ...sealed } of rows) {
    const builtIn = builtInProviders.get(provider);
    const origin =
      builtIn === undefined ? custom?.origin : (overrides.get(provider) ?? builtIn.origin);
    const credential = builtIn?.credential ?? custom;
    if (credential === null) {
      found.set(id, "provider_removed");
    } else if (
      (origin !== undefined && origin !== sealed.origin) ||
      credential.header !== sealed.header ||
      credential.scheme !== sealed.scheme
    ) {
      found.set(id, "provider_changed");
    }
  }
  return found;
}
