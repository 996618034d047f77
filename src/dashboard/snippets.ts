// The settings that make a client use the proxy: texts made from the token and the base URLs. The token is only in the dialog that shows it
// once; elsewhere there is a placeholder. Pure.
import type { Agent, Provider } from "../contract/client.ts";

export const PLACEHOLDER = "<the token shown at deployment>";

export interface Connection {
  readonly agent: Pick<Agent, "name" | "environment">;
  readonly token: string;
  /** The providers that the agent can use. Those with a key come first. */
  readonly providers: readonly Provider[];
}

export interface Snippet {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

/** The providers that the agent may use and that have a key in its environment. */
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

/** One text for each way of connecting, except those that need a provider which the agent can't use. */
export function snippetsFor(connection: Connection): readonly Snippet[] {
  const { agent, token, providers } = connection;
  const shell = textsOf(providers, token);
  const docker = textsOf(providers, token, DOCKER);
  const compose = textsOf(providers, token, COMPOSE);
  const kubernetes = textsOf(providers, token, KUBERNETES);
  const secretName = `x3sproxy-${agent.name.replaceAll("_", "-")}`;
  const find = (name: string) => providers.find((provider) => provider.name === name);
  const openai = find("openai");
  const anthropic = find("anthropic");
  const gemini = find("gemini");
  const lines = (...parts: (string | readonly string[])[]) => parts.flat().join("\n");

  const all: (Snippet | undefined)[] = [
    {
      id: "shell",
      title: "Shell",
      text: lines(
        shell.comments,
        shell.variables.map(([name, value]) => `export ${name}='${value}'`),
      ),
    },
    {
      id: "docker",
      title: "Docker",
      text: lines(
        `# docker run ${docker.moved ? `--add-host ${GATEWAY} ` : ""}--env-file agent.env …, with this as agent.env:`,
        docker.comments,
        docker.variables.map((pair) => pair.join("=")),
      ),
    },
    {
      id: "compose",
      title: "Compose",
      text: lines(
        "# in the agent's service:",
        compose.comments,
        compose.moved ? [`extra_hosts: [${JSON.stringify(GATEWAY)}]`] : [],
        "environment:",
        yaml(compose.variables),
      ),
    },
    {
      id: "kubernetes",
      title: "Kubernetes",
      text: lines(
        `# in the agent's container: envFrom: [{ secretRef: { name: ${secretName} } }]`,
        kubernetes.comments,
        ["apiVersion: v1", "kind: Secret", "metadata:", `  name: ${secretName}`, "stringData:"],
        yaml(kubernetes.variables),
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
    gemini && { id: "gemini-cli", title: "Gemini CLI", text: geminiCli(gemini.baseUrl, token) },
    clientCode("python", openai, anthropic, token),
    clientCode("javascript", openai, anthropic, token),
  ];
  return all.filter((snippet) => snippet !== undefined);
}

// On Linux a container doesn't know this name by itself.
const GATEWAY = "host.docker.internal:host-gateway";
const AND_LISTEN =
  "# x3sproxy has to listen where containers reach it, as with X3SPROXY_PROXY_ADDR=172.17.0.1:8787 for Docker on Linux.";
const BY_ITS_NAME = "# With X3SPROXY_PUBLIC_URL its own name stands here.";

/** The name of this machine inside the container, where a loopback address is the container itself. */
interface Container {
  readonly host: string;
  readonly comments: readonly string[];
}

const DOCKER: Container = {
  host: "host.docker.internal",
  comments: [AND_LISTEN, BY_ITS_NAME],
};
const COMPOSE: Container = {
  host: "host.docker.internal",
  comments: [
    "# Where x3sproxy is a service of the same file: its name in place of host.docker.internal, and no extra_hosts.",
    ...DOCKER.comments,
  ],
};
const KUBERNETES: Container = {
  host: "x3sproxy.x3sproxy.svc",
  comments: ["# The Service x3sproxy in the namespace x3sproxy.", BY_ITS_NAME],
};

/** Hosts that mean this machine, as URLs spell them (WHATWG URL, 3.5). */
const LOOPBACK =
  /^(?:(?:.+\.)?localhost\.?|127(?:\.\d+){3}|0\.0\.0\.0|\[::1?\]|\[::ffff:(?:7f[\da-f]{2}:[\da-f]{1,4}|0:0)\])$/;

function reachedFrom(container: Container | undefined, url: string): string {
  const at = new URL(url);
  if (container === undefined || !LOOPBACK.test(at.hostname)) return url;
  at.hostname = container.host;
  return at.href;
}

/** Variables and comments, for clients on this machine or in a container. */
function textsOf(providers: readonly Provider[], token: string, container?: Container) {
  const reached = providers.map((it) => ({ ...it, baseUrl: reachedFrom(container, it.baseUrl) }));
  const moved = reached.some(({ baseUrl }, at) => baseUrl !== providers[at]?.baseUrl);
  const comments = reached.flatMap(({ name, baseUrl, client }) => [
    ...(client?.baseUrlVariable === undefined
      ? [`# ${name}: base URL ${baseUrl}${client?.basePath ?? ""}`]
      : []),
    ...(client?.httpsOnly === true && baseUrl.startsWith("http:")
      ? [
          `# ${name}: its official SDKs send their key over https alone. Give x3sproxy a certificate (X3SPROXY_TLS_CERT_FILE)`,
          "# or a TLS proxy, and set X3SPROXY_PUBLIC_URL to its https URL.",
        ]
      : []),
  ]);
  return {
    moved,
    comments: [...((moved ? container?.comments : undefined) ?? []), ...comments],
    variables: [...variablesOf(reached, token)],
  };
}

function yaml(variables: readonly (readonly [string, string])[]): string[] {
  return variables.map(([name, value]) => `  ${name}: ${JSON.stringify(value)}`);
}

// If two providers share a variable, the first one keeps it.
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

function geminiCli(baseUrl: string, token: string): string {
  return `# ~/.gemini/settings.json
{ "security": { "auth": { "selectedType": "gemini-api-key" } } }

# and in its environment:
export GOOGLE_GEMINI_BASE_URL='${baseUrl}'
export GEMINI_API_KEY='${token}'`;
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
