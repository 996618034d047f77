// An agent's scope as a form holds it, and the body that is sent. Pure.
import type { Agent } from "../contract/client.ts";
import { counted, isoOfLocal, localOfIso } from "./time.ts";

/** What an agent may do. Null: not limited. */
export type ScopeFields = Pick<Agent, ListName | "allowedEndpoints" | "scopeExpiresAt" | "limits">;

/** One part of a scope: not limited, or only these. Typed entries stay when the limit is switched off. */
export interface ListDraft {
  readonly limited: boolean;
  readonly values: readonly string[];
}

export const LISTS = ["providers", "rules", "models", "addresses"] as const;
export type ListName = (typeof LISTS)[number];

export const LIMITS = ["requestsPerMinute", "openStreams", "bytesPerMinute"] as const;
type LimitName = (typeof LIMITS)[number];

export interface ScopeDraft extends Readonly<Record<ListName | "allowedEndpoints", ListDraft>> {
  /** `at`: local time, as a field holds it. */
  readonly end: { readonly limited: boolean; readonly at: string };
  /** Empty: no limit. */
  readonly limits: Readonly<Record<LimitName, string>>;
}

/** A summary shows names in full up to this many characters. */
const SHORT = 30;

/** The body of PATCH /agents/:name/scope. What is left out stays as it is. */
export type ScopeChange = Partial<ScopeFields>;

export function draftOf(scope: ScopeFields): ScopeDraft {
  const list = (values: readonly string[] | null): ListDraft => ({
    limited: values !== null,
    values: values ?? [],
  });
  const { allowedEndpoints, scopeExpiresAt, limits } = scope;
  return {
    providers: list(scope.providers),
    rules: list(scope.rules),
    models: list(scope.models),
    addresses: list(scope.addresses),
    allowedEndpoints: { limited: allowedEndpoints.length > 0, values: allowedEndpoints },
    end: { limited: scopeExpiresAt !== null, at: localOfIso(scopeExpiresAt) },
    limits: {
      requestsPerMinute: textOf(limits.requestsPerMinute),
      openStreams: textOf(limits.openStreams),
      bytesPerMinute: textOf(limits.bytesPerMinute),
    },
  };
}

/** Drops empty rows. */
export const filled = ({ values }: ListDraft): string[] =>
  values.map((value) => value.trim()).filter((value) => value !== "");

/** Parts with a limit but no entry. */
export const emptyLists = (draft: ScopeDraft): ListName[] =>
  LISTS.filter((name) => draft[name].limited && filled(draft[name]).length === 0);

/** The parts in which `draft` differs from `scope`. */
export function changeOf(draft: ScopeDraft, scope: ScopeFields): ScopeChange {
  const lists = LISTS.map((name) => {
    const values = draft[name].limited ? filled(draft[name]) : null;
    return [name, values, scope[name]] as const;
  }).filter(([, then, now]) => !same(then, now));
  const { allowedEndpoints: chosen, end } = draft;
  const allowedEndpoints = chosen.limited ? filled(chosen) : [];
  const endsAt = end.limited ? end.at : "";
  const limits = limitsOf(draft.limits);
  return {
    ...Object.fromEntries(lists.map(([name, then]) => [name, then])),
    ...(!same(allowedEndpoints, scope.allowedEndpoints) && { allowedEndpoints }),
    ...(endsAt !== localOfIso(scope.scopeExpiresAt) && {
      scopeExpiresAt: isoOfLocal(endsAt) ?? null,
    }),
    ...(LIMITS.some((name) => limits[name] !== scope.limits[name]) && { limits }),
  };
}

/** The agent's limits, a few words each. Empty if it has none. */
export function limitationsOf(agent: Pick<Agent, keyof ScopeFields>): string[] {
  const { providers, rules, models, addresses, limits } = agent;
  const few = (names: readonly string[], one: string) =>
    names.length > 0 && names.join(", ").length <= SHORT
      ? names.join(", ")
      : counted(names.length, one);
  return [
    ...(providers === null ? [] : [few(providers, "provider")]),
    ...(rules === null ? [] : [counted(rules.length, "rule")]),
    ...(models === null ? [] : [few(models, "model")]),
    ...(addresses === null ? [] : [counted(addresses.length, "address", "addresses")]),
    ...(LIMITS.some((name) => limits[name] !== null) ? ["limits"] : []),
    ...(agent.scopeExpiresAt === null ? [] : ["an end"]),
  ];
}

export function limitsOf<Name extends string>(
  texts: Readonly<Record<Name, string>>,
): Record<Name, number | null> {
  return Object.fromEntries(
    Object.entries<string>(texts).map(([name, text]) => [
      name,
      text.trim() === "" ? null : Number(text),
    ]),
  ) as Record<Name, number | null>;
}

export const textOf = (limit: number | null): string => (limit === null ? "" : String(limit));

const same = (a: readonly string[] | null, b: readonly string[] | null): boolean =>
  JSON.stringify(a && [...a].sort()) === JSON.stringify(b && [...b].sort());
