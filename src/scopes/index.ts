// Scopes: what a grant allows, and whether it allows a call.
export { admissionOf, compileScope, refusalOf, scopeRow } from "./scope.ts";
export type { CallFacts, Scope, ScopeFields } from "./scope.ts";
export { canonicalRule, compileRules, matchesGlob, rulePartsOf } from "./path-rules.ts";
export { scopeTemplates, type ScopeTemplate } from "./scope-templates.ts";
