// A scope: what a grant allows. Compiled once from the database's row and asked for each call. A part that isn't set limits nothing; a part
// that is set is the complete list. Pure, so that dry runs use the same code as the data plane.
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { isWithin, parseAddress } from "../platform/addresses.ts";
import type { RefusalReason } from "../platform/errors.ts";
import { compileRules, matchesGlob, type PathRules } from "./path-rules.ts";

/** A scope as it is stored and shown. Null: not limited in this respect. */
export interface ScopeFields {
  /** Names of the providers that it may call. */
  providers: string[] | null;
  /** Rules for method and path; path-rules.ts has their form. */
  rules: string[] | null;
  /** Sensitive endpoints that it may call, as `<provider>:<name>`. */
  allowedEndpoints: string[];
  /** Blocks of addresses from which calls may come. */
  addresses: string[] | null;
  /** Names of models; `*` stands for any characters. */
  models: string[] | null;
}

export interface Scope {
  readonly fields: Readonly<ScopeFields>;
  readonly providers: ReadonlySet<string> | undefined;
  readonly rules: PathRules | undefined;
  readonly allowedEndpoints: ReadonlySet<string>;
  readonly addresses: ((address: string | undefined) => boolean) | undefined;
  /** Whether it allows the model. Undefined: all models, and the body need not be read for its model. */
  readonly models: ((model: string) => boolean) | undefined;
  /** When the scope ends, whenever the token does: wall clock, milliseconds since the Unix epoch; undefined: never. */
  readonly endsAtMs: number | undefined;
}

/** What a scope needs to know of a call. */
export interface CallFacts {
  readonly provider: string;
  readonly method: string;
  /** The provider's own path in canonical form. */
  readonly path: string;
  /** The sensitive endpoint that the call hits, if any. */
  readonly sensitiveEndpoint: string | undefined;
}

export const scopeRow = z.object({
  providers: z.array(z.string()).nullable(),
  rules: z.array(z.string()).nullable(),
  allowedEndpoints: z.array(z.string()),
  addresses: z.array(z.string()).nullable(),
  models: z.array(z.string()).nullable(),
  expiresAtMs: z.int().nullable(),
});

/** Throws if a stored rule or block is malformed. */
export function compileScope(row: z.infer<typeof scopeRow>): Scope {
  const { expiresAtMs, ...fields } = row;
  const { providers, rules, allowedEndpoints, addresses, models } = fields;
  return {
    fields,
    providers: providers === null ? undefined : new Set(providers),
    rules: rules === null ? undefined : compileRules(rules),
    allowedEndpoints: new Set(allowedEndpoints),
    addresses: addresses === null ? undefined : compileAddresses(addresses),
    models:
      models === null ? undefined : (model) => models.some((each) => matchesGlob(each, model)),
    endsAtMs: expiresAtMs ?? undefined,
  };
}

/** Why the scope refuses every call from `address` (undefined: unknown) at `nowMs`, or undefined. */
export function admissionOf(
  { endsAtMs, addresses }: Scope,
  address: string | undefined,
  nowMs: number,
): RefusalReason | undefined {
  if (endsAtMs !== undefined && nowMs >= endsAtMs) return "scope_expired";
  return addresses?.(address) === false ? "address_not_allowed" : undefined;
}

/** Why the scope refuses the call, or undefined. The model is checked later, since it is in the body. */
export function refusalOf(scope: Scope, call: CallFacts): RefusalReason | undefined {
  const { provider, method, path, sensitiveEndpoint } = call;
  if (scope.providers?.has(provider) === false) return "provider_not_allowed";
  if (scope.rules?.allow(method, provider, path) === false) return "path_not_allowed";
  if (sensitiveEndpoint !== undefined && !scope.allowedEndpoints.has(sensitiveEndpoint)) {
    return "sensitive_endpoint";
  }
  return undefined;
}

/** How many addresses of callers are remembered with their answer. Most agents call from one. */
const MAX_KNOWN_ADDRESSES = 64;

function compileAddresses(texts: readonly string[]): (address: string | undefined) => boolean {
  const blocks = texts.map((text) => ipaddr.parseCIDR(text));
  const known = new Map<string, boolean>();
  return (address) => {
    if (address === undefined) return false;
    let inside = known.get(address);
    if (inside === undefined) {
      inside = isWithin(blocks, parseAddress(address));
      if (known.size >= MAX_KNOWN_ADDRESSES) known.clear();
      known.set(address, inside);
    }
    return inside;
  };
}
