// What a grant allows: the scope as the database has it, compiled once, and asked for each call. What is not set limits nothing; what
// is set is a complete list. Pure; the dry run asks the same code as the data plane.
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { isWithin, parseAddress } from "../addresses.ts";
import type { RefusalReason } from "../errors.ts";
import { compileRules, matchesGlob, type PathRules } from "./path-rules.ts";

/** A scope as it is stored and shown. Null: not limited in this respect. */
export interface ScopeFields {
  /** Names of the only providers. */
  providers: string[] | null;
  /** Rules on method and path, as path-rules.ts reads them. */
  rules: string[] | null;
  /** Sensitive endpoints that it may call, as `<provider>:<name>`. */
  allowedEndpoints: string[];
  /** Blocks of addresses, the only ones that calls may come from. */
  addresses: string[] | null;
  /** Models by name, `*` standing for any characters. */
  models: string[] | null;
}

export interface Scope {
  readonly fields: Readonly<ScopeFields>;
  readonly providers: ReadonlySet<string> | undefined;
  readonly rules: PathRules | undefined;
  readonly allowedEndpoints: ReadonlySet<string>;
  readonly addresses: ((address: string | undefined) => boolean) | undefined;
  /** Whether it allows a model by this name. Undefined: every one, and nobody needs to know which. */
  readonly models: ((model: string) => boolean) | undefined;
  /** Wall-clock end of the scope, milliseconds since the Unix epoch, whatever the token's; undefined: none. */
  readonly endsAtMs: number | undefined;
}

/** What a decision is made on. */
export interface CallFacts {
  readonly provider: string;
  readonly method: string;
  /** The provider's own path, canonical. */
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

/** Throws when a rule or block is not as it is stored. */
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

/** Why the scope refuses whatever comes from `address` (undefined: unknown) at `nowMs`, or undefined. */
export function admissionOf(
  { endsAtMs, addresses }: Scope,
  address: string | undefined,
  nowMs: number,
): RefusalReason | undefined {
  if (endsAtMs !== undefined && nowMs >= endsAtMs) return "scope_expired";
  return addresses?.(address) === false ? "address_not_allowed" : undefined;
}

/** Why the scope refuses a call, or undefined. The model is not asked for here: it comes with the body. */
export function refusalOf(scope: Scope, call: CallFacts): RefusalReason | undefined {
  const { provider, method, path, sensitiveEndpoint } = call;
  if (scope.providers?.has(provider) === false) return "provider_not_allowed";
  if (scope.rules?.allow(method, provider, path) === false) return "path_not_allowed";
  if (sensitiveEndpoint !== undefined && !scope.allowedEndpoints.has(sensitiveEndpoint)) {
    return "sensitive_endpoint";
  }
  return undefined;
}

// An agent mostly calls from one address for as long as its grant is remembered.
const REMEMBERED = 64;

function compileAddresses(texts: readonly string[]): (address: string | undefined) => boolean {
  const blocks = texts.map((text) => ipaddr.parseCIDR(text));
  const known = new Map<string, boolean>();
  return (address) => {
    if (address === undefined) return false;
    let inside = known.get(address);
    if (inside === undefined) {
      inside = isWithin(blocks, parseAddress(address));
      if (known.size >= REMEMBERED) known.clear();
      known.set(address, inside);
    }
    return inside;
  };
}
