// Which rights a change of an agent's scope needs, by any route. Owns that rule: routes must never decide it themselves. A scope is
// everything that an agent may do, its environment too. Pure.
import ipaddr from "ipaddr.js";
import type { Cidr } from "../platform/addresses.ts";
import { WIDENING } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { Limits } from "../limits/index.ts";
import { compileRules, matchesGlob, rulePartsOf } from "../scopes/index.ts";
import { changedScope, sameScope, type AgentScope, type ScopeChange } from "./scope-change.ts";

/** The rights of whoever makes the change. */
export interface Rights {
  readonly hasRole: boolean;
  /** Whether the session proved lately who uses it. True for an API key, which can't prove that. */
  readonly hasProof: boolean;
}

export const ALL_RIGHTS: Rights = { hasRole: true, hasProof: true };

/** The most that an agent may do. Null: not limited. */
export type ScopeBounds = Omit<AgentScope, "environment"> & { environments: string[] | null };

/** Throws RequestError 403 `role_too_low` or `proof_needed` without both rights. `why`: what the change would do, and what to do instead. */
export function demand({ hasRole, hasProof }: Rights, why: string): void {
  if (!hasRole) {
    throw new RequestError(403, "role_too_low", `${why} Else it needs the role ${WIDENING.role}.`);
  }
  if (!hasProof) {
    throw new RequestError(
      403,
      "proof_needed",
      "This changes what an agent may do: give your password or a code again first.",
    );
  }
}

/** As `demand`, for a scope that differs from the agent's. Any difference counts: which of two scopes is wider can't always be told. */
export function demandForChange(rights: Rights, now: AgentScope, change: ScopeChange): void {
  if (sameScope(now, changedScope(now, change))) return;
  demand(
    rights,
    "This would change the agent's scope, of which its environment is a part. Leave the scope out to redeploy with the one that it has.",
  );
}

/** Each pattern is compared with each, up to this many pairs. Beyond that, only those that are on both lists count as allowed. */
const MAX_PAIRS = 2_000;

/** The parts of `scope` that allow more than `bounds`, or that may do so. */
export function partsBeyond(bounds: ScopeBounds, scope: AgentScope): string[] {
  const { limits } = scope;
  const beyond = {
    environment: !includesAll(bounds.environments, [scope.environment]),
    providers: !includesAll(bounds.providers, scope.providers),
    rules: !includesRules(bounds.rules, scope.rules),
    allowedEndpoints: !includesAll(bounds.allowedEndpoints, scope.allowedEndpoints),
    addresses: !includesBlocks(bounds.addresses, scope.addresses),
    models: !includesModels(bounds.models, scope.models),
    scopeExpiresAt: !isAtMost(timeOf(scope.scopeExpiresAt), timeOf(bounds.scopeExpiresAt)),
    ...Object.fromEntries(
      LIMITS.map((name) => [name, !isAtMost(limits[name], bounds.limits[name])]),
    ),
  };
  return Object.entries(beyond).flatMap(([part, is]) => (is ? [part] : []));
}

const LIMITS: readonly (keyof Limits)[] = ["requestsPerMinute", "openStreams", "bytesPerMinute"];

type List = readonly string[] | null;

function includesAll(outer: List, inner: List): boolean {
  if (outer === null || inner === null) return outer === null;
  const all = new Set(outer);
  return inner.every((each) => all.has(each));
}

function includesModels(outer: List, inner: List): boolean {
  if (includesAll(outer, inner)) return true;
  if (outer === null || inner === null || tooMany(outer, inner)) return false;
  // A star in the inner pattern counts as a character, which only a star of the outer pattern matches.
  return inner.every((each) => outer.some((pattern) => matchesGlob(pattern, each)));
}

function includesBlocks(outer: List, inner: List): boolean {
  if (outer === null || inner === null) return outer === null;
  const blocks = outer.map((text): Cidr => ipaddr.parseCIDR(text));
  return inner.every((text) => {
    const [address, bits] = ipaddr.parseCIDR(text);
    return blocks.some(
      ([block, width]) =>
        width <= bits && block.kind() === address.kind() && address.match(block, width),
    );
  });
}

/**
 * Whether the outer rules allow all that the inner ones allow. An inner rule passes if it is on both lists and every denial of the outer list
 * is on the inner one, too; or if it names a single call that the outer rules allow.
 */
function includesRules(outer: List, inner: List): boolean {
  if (outer === null || inner === null) return outer === null;
  const [outerAll, innerAll] = [new Set(outer), new Set(inner)];
  const deniesAll = outer.every((rule) => !rule.startsWith("!") || innerAll.has(rule));
  const others = inner.filter(
    (rule) => !rule.startsWith("!") && !(deniesAll && outerAll.has(rule)),
  );
  if (others.length === 0) return true;
  if (tooMany(outer, others)) return false;
  const rules = compileRules(outer);
  return others.every((rule) => {
    const call = rulePartsOf(rule);
    if (call === undefined || rule.includes("*")) return false;
    const methods = call.method === "GET" ? ["GET", "HEAD"] : [call.method];
    return methods.every((method) => rules.allow(method, call.provider, call.path));
  });
}

function tooMany(outer: readonly string[], inner: readonly string[]): boolean {
  return outer.length * inner.length > MAX_PAIRS;
}

function isAtMost(inner: number | null, outer: number | null): boolean {
  return outer === null || (inner !== null && inner <= outer);
}

function timeOf(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
