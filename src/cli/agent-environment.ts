// The settings that point an agent's clients at the proxy, in the forms that people paste them into.
import type { AgentView, ProviderView } from "./api.ts";

export const FORMATS = ["shell", "docker", "compose", "k8s"] as const;
export type Format = (typeof FORMATS)[number];

const PLACEHOLDER = "<token from x3sproxy agent deploy>";

/** Base URLs and keys of `providers` for the agent. Without a token: a placeholder where it goes. */
export function formatEnvironment(
  format: Format,
  agent: Pick<AgentView, "name" | "environment">,
  providers: readonly ProviderView[],
  token?: string,
): string {
  const comments = [
    ...(token === undefined
      ? [
          `Agent ${agent.name} (${agent.environment}). Its token was shown once, when it was deployed, and can't be ` +
            "shown again: put it in place of <…>.",
        ]
      : []),
    ...(providers.length === 0
      ? [
          `No key in ${agent.environment} that this agent may use yet: ` +
            `x3sproxy secret set <provider> --environment ${agent.environment}`,
        ]
      : []),
    ...providers.filter((it) => it.client?.baseUrlVariable === undefined).map(baseUrlComment),
  ].map((comment) => `# ${comment}`);
  const variables = [...environmentOf(providers, token ?? PLACEHOLDER)];
  return [...comments, ...render(format, agent, variables)].join("\n");
}

/** The providers that the agent may use and that have a key in its environment. */
export function usable(providers: readonly ProviderView[], agent: AgentView): ProviderView[] {
  return providers.filter(
    ({ name, environments }) =>
      environments.includes(agent.environment) && (agent.providers?.includes(name) ?? true),
  );
}

function render(
  format: Format,
  agent: Pick<AgentView, "name" | "environment">,
  variables: [string, string][],
): string[] {
  const yaml = (indent: string) =>
    variables.map(([name, value]) => `${indent}${name}: ${JSON.stringify(value)}`);
  switch (format) {
    case "shell":
      return variables.map(([name, value]) => `export ${name}='${value}'`);
    case "docker":
      return ["# docker run --env-file <this file> …", ...variables.map((pair) => pair.join("="))];
    case "compose":
      return ["# in the agent's service:", "environment:", ...yaml("  ")];
    case "k8s": {
      const name = `x3sproxy-${agent.name.replaceAll("_", "-")}`;
      return [
        `# in the agent's container: envFrom: [{ secretRef: { name: ${name} } }]`,
        "apiVersion: v1",
        "kind: Secret",
        "metadata:",
        `  name: ${name}`,
        "stringData:",
        ...yaml("  "),
      ];
    }
  }
}

/** By name. Two providers can share a variable; the first one keeps it. */
export function environmentOf(
  providers: readonly ProviderView[],
  token: string,
): Map<string, string> {
  const variables = new Map<string, string>();
  for (const { client, baseUrl } of providers) {
    if (client === null || variables.has(client.keyVariable)) continue;
    if (client.baseUrlVariable !== undefined) {
      variables.set(client.baseUrlVariable, baseUrl + client.basePath);
    }
    variables.set(client.keyVariable, token);
  }
  return variables;
}

function baseUrlComment({ name, baseUrl, client }: ProviderView): string {
  return `${name}: give the client the base URL ${baseUrl}${client?.basePath ?? ""}`;
}
