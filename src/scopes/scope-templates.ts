// Ready-made rules for common kinds of agents, made from what the provider rows say of paths. Pure. A template is rules to begin with, no
// more: an agent that has got them keeps them as they are.
import { builtInProviders } from "../providers/index.ts";

export interface ScopeTemplate {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** In their one spelling. */
  readonly rules: readonly string[];
}

const rows = [...builtInProviders.values()];

/** `METHOD /path` of a provider as an agent calls it at the proxy. */
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
