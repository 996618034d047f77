// Scope templates: rules to begin with for common kinds of agents, made from the providers' table. An agent keeps the rules that it got, even
// if the template changes. Pure.
import { builtInProviders } from "../providers/index.ts";

export interface ScopeTemplate {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** In canonical spelling. */
  readonly rules: readonly string[];
}

const rows = [...builtInProviders.values()];

/** The provider's `METHOD /path`, as an agent calls it at the proxy. */
const ruleOf = (provider: string, call: string): string => call.replace(" /", ` /${provider}/`);

export const scopeTemplates: readonly ScopeTemplate[] = [
  {
    name: "chat-only",
    title: "Chat only",
    description: "Calls that answer messages, of every built-in provider that has them.",
    rules: rows.flatMap(({ name, uses }) => uses.chat.map((call) => ruleOf(name, call))),
  },
  {
    name: "embeddings-only",
    title: "Embeddings only",
    description: "Calls that turn text into vectors, of every built-in provider that has them.",
    rules: rows.flatMap(({ name, uses }) => uses.embeddings.map((call) => ruleOf(name, call))),
  },
  {
    name: "everything-but-files-and-admin",
    title: "Everything but files and admin",
    description:
      "Every call, custom providers' too, but those on stored files and on what holds them. Admin endpoints are sensitive ones, which " +
      "no agent may call unless it is allowed them by name.",
    rules: [
      "* /**",
      ...rows.flatMap(({ name, uses }) => uses.files.map((path) => ruleOf(name, `!* ${path}`))),
    ],
  },
];
