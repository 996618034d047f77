// A scope: what a grant allows. Compiled once from the database's row and asked for each call. A part that isn't set limits nothing; one
// that is set is a complete list. Pure; dry runs use the same code as the data plane.
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { isWithin, parseAddress } from "../platform/addresses.ts";
import type { RefusalReason } from "../platform/errors.ts";
import { compileRules, matchesGlob, type PathRules } from "./path-rules.ts";

/** A scope as it is stored and shown. Null: this part limits nothing. */
export interface ScopeFields {
  /** The allowed providers, by name. */
  providers: string[] | null;
  /** Rules on method and path, as path-rules.ts reads them. */
  rules: string[] | null;
  /** Sensitive endpoints that it may call, as `<provider>:<name>`. */
  allowedEndpoints: string[];
  /** The address blocks that calls may come from. */
  addresses: string[] | null;
  /** The allowed models; `*` stands for any characters. */
  models: string[] | null;
}

export interface Scope {
  readonly fields: Readonly<ScopeFields>;
  readonly providers: ReadonlySet<string> | undefined;
  readonly rules: PathRules | undefined;
  readonly allowedEndpoints: ReadonlySet<string>;
  readonly addresses: ((address: string | undefined) => boolean) | undefined;
  /** Whether it allows a model. Undefined: it allows all, and calls are not read for their model. */
  readonly models: ((model: string) => boolean) | undefined;
  /** The scope's own end, milliseconds since the Unix epoch; undefined: none. */
  readonly endsAtMs: number | undefined;
}

/** The facts of a call that decide. */
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

/** Why the scope refuses every call from `address` (undefined: unknown) at `nowMs`; undefined: it doesn't. */
export function admissionOf(
  { endsAtMs, addresses }: Scope,
  address: string | undefined,
  nowMs: number,
): RefusalReason | undefined {
  if (endsAtMs !== undefined && nowMs >= endsAtMs) return "scope_expired";
  return addresses?.(address) === false ? "address_not_allowed" : undefined;
}

/** Why the scope refuses a call; undefined: it doesn't. The model is checked elsewhere, since it comes with the body. */
export function refusalOf(scope: Scope, call: CallFacts): RefusalReason | undefined {
  const { provider, method, path, sensitiveEndpoint } = call;
  if (scope.providers?.has(provider) === false) return "provider_not_allowed";
  if (scope.rules?.allow(method, provider, path) === false) return "path_not_allowed";
  if (sensitiveEndpoint !== undefined && !scope.allowedEndpoints.has(sensitiveEndpoint)) {
    return "sensitive_endpoint";
  }
  return undefined;
}

// Agents mostly call from one address while their grant is cached.
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
