// What a change of an agent's scope asks of whoever makes it, by whatever route. Declared here and nowhere else: routes ask `demand`
// and say nothing of it themselves. A scope is everything that an agent may do, its environment too. Pure.
import ipaddr from "ipaddr.js";
import type { Cidr } from "../config.ts";
import { RequestError } from "../errors.ts";
import type { Limits } from "../limits/index.ts";
import { compileRules, matchesGlob, rulePartsOf } from "../scopes/index.ts";
import { changedScope, sameScope, type AgentScope, type ScopeChange } from "./scope-change.ts";

/** What it takes to give an agent more than it has, or than every new one gets. */
export const WIDENING = { role: "admin", proof: true } as const;

/** What of that somebody has. */
export interface Rights {
  readonly hasRole: boolean;
  /** Whether the last proof of its session counts still; nobody asks an API key for one. */
  readonly hasProof: boolean;
}

export const ALL_RIGHTS: Rights = { hasRole: true, hasProof: true };

/** The most that an agent may do. Null: not limited. */
export type ScopeBounds = Omit<AgentScope, "environment"> & { environments: string[] | null };

/** Throws RequestError 403 `role_too_low` or `proof_needed`. `why`: what the change would do, and what to do instead, in sentences. */
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

/** Throws when `rights` don't allow for another scope than the agent has. Of two scopes nobody can always tell which one is wider. */
export function demandForChange(rights: Rights, now: AgentScope, change: ScopeChange): void {
  if (sameScope(now, changedScope(now, change))) return;
  demand(
    rights,
    "This would change the agent's scope, of which its environment is a part. Leave the scope out to redeploy with the one that it has.",
  );
}

// Patterns are compared each with each, up to as many pairs; beyond that only those count that are on both lists.
const MOST_PAIRS = 2_000;

/** The parts of `scope` that allow more than `bounds` do, or that can't be told not to. */
export function partsBeyond(bounds: ScopeBounds, scope: AgentScope): string[] {
  const { limits } = scope;
  const beyond = {
    environment: !holdsAll(bounds.environments, [scope.environment]),
    providers: !holdsAll(bounds.providers, scope.providers),
    rules: !holdRules(bounds.rules, scope.rules),
    allowedEndpoints: !holdsAll(bounds.allowedEndpoints, scope.allowedEndpoints),
    addresses: !holdBlocks(bounds.addresses, scope.addresses),
    models: !holdModels(bounds.models, scope.models),
    scopeExpiresAt: !isAtMost(timeOf(scope.scopeExpiresAt), timeOf(bounds.scopeExpiresAt)),
    ...Object.fromEntries(
      LIMITS.map((name) => [name, !isAtMost(limits[name], bounds.limits[name])]),
    ),
  };
  return Object.entries(beyond).flatMap(([part, is]) => (is ? [part] : []));
}

const LIMITS: readonly (keyof Limits)[] = ["requestsPerMinute", "openStreams", "bytesPerMinute"];

type List = readonly string[] | null;

function holdsAll(outer: List, inner: List): boolean {
  if (outer === null || inner === null) return outer === null;
  const all = new Set(outer);
  return inner.every((each) => all.has(each));
}

function holdModels(outer: List, inner: List): boolean {
  if (holdsAll(outer, inner)) return true;
  if (outer === null || inner === null || tooMany(outer, inner)) return false;
  // A star of the inner pattern is a character that only a star of the outer one takes.
  return inner.every((each) => outer.some((pattern) => matchesGlob(pattern, each)));
}

function holdBlocks(outer: List, inner: List): boolean {
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

/** A rule counts as held when it is on both lists with all that the outer one takes away, or when it is one call that that allows. */
function holdRules(outer: List, inner: List): boolean {
  if (outer === null || inner === null) return outer === null;
  const [outerAll, innerAll] = [new Set(outer), new Set(inner)];
  const takesAwayAll = outer.every((rule) => !rule.startsWith("!") || innerAll.has(rule));
  const others = inner.filter(
    (rule) => !rule.startsWith("!") && !(takesAwayAll && outerAll.has(rule)),
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
  return outer.length * inner.length > MOST_PAIRS;
}

function isAtMost(inner: number | null, outer: number | null): boolean {
  return outer === null || (inner !== null && inner <= outer);
}

function timeOf(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
