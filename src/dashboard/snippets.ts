// What to set where, so that a client goes through the proxy: pure texts, made from the token and the base URLs. A token
// is put in only by whoever shows it once; everywhere else a placeholder stands in its place.
import type { Agent, Provider } from "./answers.ts";

export const PLACEHOLDER = "<the token shown at deployment>";

export interface Connection {
  readonly agent: Pick<Agent, "name" | "environment">;
  readonly token: string;
  /** The providers that the agent can use, those with a key first. */
  readonly providers: readonly Provider[];
}

export interface Snippet {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

/** What of `all` the agent can use: it may, and its environment has a key. */
export function usableProviders(
  agent: Pick<Agent, "environment" | "providers">,
  all: readonly Provider[],
): readonly Provider[] {
  return all.filter(
    ({ name, environments }) =>
      (agent.providers === null || agent.providers.includes(name)) &&
      environments.includes(agent.environment),
  );
}

/** One text for each way of connecting; those that need a provider which the agent can't use are left out. */
export function snippetsFor(connection: Connection): readonly Snippet[] {
  const { agent, token, providers } = connection;
  const variables = [...variablesOf(providers, token)];
  const others = providers
    .filter(({ client }) => client?.baseUrlVariable === undefined)
    .map(({ name, baseUrl, client }) => `# ${name}: base URL ${baseUrl}${client?.basePath ?? ""}`);
  const yaml = (indent: string) =>
    variables.map(([name, value]) => `${indent}${name}: ${JSON.stringify(value)}`);
  const secretName = `x3sproxy-${agent.name.replaceAll("_", "-")}`;
  const find = (name: string) => providers.find((provider) => provider.name === name);
  const openai = find("openai");
  const anthropic = find("anthropic");
  const lines = (...parts: (string | readonly string[])[]) => parts.flat().join("\n");

  const all: (Snippet | undefined)[] = [
    {
      id: "shell",
      title: "Shell",
      text: lines(
        others,
        variables.map(([name, value]) => `export ${name}='${value}'`),
      ),
    },
    {
      id: "docker",
      title: "Docker",
      text: lines(
        "# docker run --env-file agent.env …, with this as agent.env:",
        others,
        variables.map((pair) => pair.join("=")),
      ),
    },
    {
      id: "compose",
      title: "Compose",
      text: lines("# in the agent's service:", others, "environment:", yaml("  ")),
    },
    {
      id: "kubernetes",
      title: "Kubernetes",
      text: lines(
        `# in the agent's container: envFrom: [{ secretRef: { name: ${secretName} } }]`,
        others,
        ["apiVersion: v1", "kind: Secret", "metadata:", `  name: ${secretName}`, "stringData:"],
        yaml("  "),
      ),
    },
    anthropic && {
      id: "claude-code",
      title: "Claude Code",
      text: lines(
        `export ANTHROPIC_BASE_URL='${anthropic.baseUrl}'`,
        `export ANTHROPIC_AUTH_TOKEN='${token}'`,
        "claude",
      ),
    },
    openai && { id: "codex", title: "Codex", text: codex(openai.baseUrl, token) },
    clientCode("python", openai, anthropic, token),
    clientCode("javascript", openai, anthropic, token),
  ];
  return all.filter((snippet) => snippet !== undefined);
}

// Two providers can share a variable; the first one keeps it.
function variablesOf(providers: readonly Provider[], token: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const { client, baseUrl } of providers) {
    if (client === null || variables.has(client.keyVariable)) continue;
    if (client.baseUrlVariable !== undefined) {
      variables.set(client.baseUrlVariable, baseUrl + client.basePath);
    }
    variables.set(client.keyVariable, token);
  }
  if (variables.size === 0) variables.set("X3SPROXY_TOKEN", token);
  return variables;
}

function codex(baseUrl: string, token: string): string {
  return `# ~/.codex/config.toml
model_provider = "x3sproxy"

[model_providers.x3sproxy]
name = "OpenAI through x3sproxy"
base_url = "${baseUrl}/v1"
env_key = "X3SPROXY_TOKEN"
wire_api = "responses"

# and in its environment:
# export X3SPROXY_TOKEN='${token}'`;
}

function clientCode(
  language: "python" | "javascript",
  openai: Provider | undefined,
  anthropic: Provider | undefined,
  token: string,
): Snippet | undefined {
  if (openai === undefined && anthropic === undefined) return undefined;
  const parts: string[] = [];
  if (language === "python") {
    if (openai !== undefined) {
      parts.push(`from openai import OpenAI

client = OpenAI(
    base_url="${openai.baseUrl}/v1",
    api_key="${token}",
)`);
    }
    if (anthropic !== undefined) {
      parts.push(`from anthropic import Anthropic

client = Anthropic(
    base_url="${anthropic.baseUrl}",
    api_key="${token}",
)`);
    }
    return { id: language, title: "Python", text: parts.join("\n\n") };
  }
  if (openai !== undefined) {
    parts.push(`import OpenAI from "openai";

const openai = new OpenAI({
  baseURL: "${openai.baseUrl}/v1",
  apiKey: "${token}",
});`);
  }
  if (anthropic !== undefined) {
    parts.push(`import Anthropic from "@anthropic-ai/sdk";

const anthropic = new Anthropic({
  baseURL: "${anthropic.baseUrl}",
  apiKey: "${token}",
});`);
  }
  return { id: language, title: "JavaScript", text: parts.join("\n\n") };
}
