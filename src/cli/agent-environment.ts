// The environment variables that point an agent's clients at the proxy, in the formats that people paste.
import { printable } from "./failure.ts";
import type { DeployedAgent, Provider } from "../contract/index.ts";

export const FORMATS = ["shell", "docker", "compose", "k8s"] as const;
export type Format = (typeof FORMATS)[number];

const PLACEHOLDER = "<token from x3sproxy agent deploy>";

/** Base URLs and keys of `providers` for the agent. Without a token: a placeholder where it goes. */
export function formatEnvironment(
  format: Format,
  agent: Pick<DeployedAgent, "name" | "environment">,
  providers: readonly Provider[],
  token?: string,
): string {
  const reached = providers.map((it) => ({ ...it, baseUrl: reachedFrom(format, it.baseUrl) }));
  const moved = reached.some(({ baseUrl }, at) => baseUrl !== providers[at]?.baseUrl);
  const comments = [
    ...(format !== "shell" && moved ? CONTAINERS[format].comments : []),
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
    ...reached.filter((it) => it.client?.baseUrlVariable === undefined).map(baseUrlComment),
    ...reached.filter(isRefusedOverHttp).map(httpsComment),
  ].map(commentOf);
  const variables = [...environmentOf(reached, token ?? PLACEHOLDER)];
  return [...comments, ...render(format, agent, variables, moved)].join("\n");
}

/** One line of comment, whatever `text` has in it: a line break would begin a command. */
export function commentOf(text: string): string {
  return `# ${printable(text.replaceAll("\n", " "))}`;
}

interface FromContainer {
  /** The name of the host machine, inside the container. */
  readonly host: string;
  readonly comments: readonly string[];
}

const AND_LISTEN =
  "x3sproxy has to listen where containers reach it, as with X3SPROXY_PROXY_ADDR=172.17.0.1:8787 for Docker on Linux. " +
  "With X3SPROXY_PUBLIC_URL its own name stands here.";

/** In these formats a loopback address would be the container itself. */
const CONTAINERS: Readonly<Record<Exclude<Format, "shell">, FromContainer>> = {
  docker: { host: "host.docker.internal", comments: [AND_LISTEN] },
  compose: {
    host: "host.docker.internal",
    comments: [
      "Where x3sproxy is a service of the same file, its name in place of host.docker.internal, and no extra_hosts.",
      AND_LISTEN,
    ],
  },
  k8s: {
    host: "x3sproxy.x3sproxy.svc",
    comments: [
      "The Service x3sproxy in the namespace x3sproxy. With X3SPROXY_PUBLIC_URL its own name stands here.",
    ],
  },
};

/** Hosts that mean this machine, as URLs spell them (WHATWG URL, 3.5). */
const LOOPBACK =
  /^(?:(?:.+\.)?localhost\.?|127(?:\.\d+){3}|0\.0\.0\.0|\[::1?\]|\[::ffff:(?:7f[\da-f]{2}:[\da-f]{1,4}|0:0)\])$/;

function reachedFrom(format: Format, url: string): string {
  const at = new URL(url);
  if (format === "shell" || !LOOPBACK.test(at.hostname)) return url;
  at.hostname = CONTAINERS[format].host;
  return at.href;
}

function isRefusedOverHttp({ client, baseUrl }: Provider): boolean {
  return client?.httpsOnly === true && baseUrl.startsWith("http:");
}

function httpsComment({ name }: Provider): string {
  return (
    `${name}: its official SDKs send their key over https alone. Give x3sproxy a certificate ` +
    "(X3SPROXY_TLS_CERT_FILE) or a TLS proxy, and set X3SPROXY_PUBLIC_URL to its https URL."
  );
}

/** The providers that the agent may use and that have a key in its environment. */
export function usable(providers: readonly Provider[], agent: DeployedAgent): Provider[] {
  return providers.filter(
    ({ name, environments }) =>
      environments.includes(agent.environment) && (agent.providers?.includes(name) ?? true),
  );
}

// On Linux a container doesn't know this name by itself.
const GATEWAY = "host.docker.internal:host-gateway";

function render(
  format: Format,
  agent: Pick<DeployedAgent, "name" | "environment">,
  variables: [string, string][],
  moved: boolean,
): string[] {
  const yaml = (indent: string) =>
    variables.map(([name, value]) => `${indent}${name}: ${JSON.stringify(value)}`);
  switch (format) {
    case "shell":
      return variables.map(([name, value]) => `export ${name}='${value}'`);
    case "docker":
      return [
        `# docker run ${moved ? `--add-host ${GATEWAY} ` : ""}--env-file <this file> …`,
        ...variables.map((pair) => pair.join("=")),
      ];
    case "compose":
      return [
        "# in the agent's service:",
        ...(moved ? [`extra_hosts: [${JSON.stringify(GATEWAY)}]`] : []),
        "environment:",
        ...yaml("  "),
      ];
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

/** Variables by name. If two providers share one, the first provider keeps it. */
export function environmentOf(providers: readonly Provider[], token: string): Map<string, string> {
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

function baseUrlComment({ name, baseUrl, client }: Provider): string {
  return `${name}: give the client the base URL ${baseUrl}${client?.basePath ?? ""}`;
}
