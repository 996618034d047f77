import assert from "node:assert/strict";
import { it } from "node:test";
import { formatEnvironment } from "../../src/cli/agent-environment.ts";
import type { Provider } from "../../src/dashboard/answers.ts";
import { snippetsFor, usableProviders } from "../../src/dashboard/snippets.ts";
import { builtInProviders } from "../../src/providers/index.ts";

const TOKEN = "x3sproxy_FAKE0123456789abcdefghijklmnop";
const AGENT = {
  name: "my_agent",
  environment: "production",
  providers: null,
  deployment: 1,
  deployedAt: "2026-01-01T00:00:00.000Z",
  expiresAt: null,
};
const PROVIDERS: Provider[] = [...builtInProviders.values()].map((provider) => ({
  name: provider.name,
  title: provider.title,
  kind: "built-in",
  origin: provider.origin ?? null,
  header: provider.credential.header,
  scheme: provider.credential.scheme,
  baseUrl: `https://llm.example.test/${provider.name}`,
  environments: ["production"],
  sensitiveEndpoints: [],
  client: {
    keyVariable: provider.client.keyVariable,
    basePath: provider.client.basePath,
    ...(provider.client.baseUrlVariable !== undefined && {
      baseUrlVariable: provider.client.baseUrlVariable,
    }),
  },
}));

const FORMATS = {
  shell: "shell",
  docker: "docker",
  compose: "compose",
  kubernetes: "k8s",
} as const;

it("shell, Docker, Compose and Kubernetes set the same variables as `agent env`", () => {
  const snippets = snippetsFor({ agent: AGENT, token: TOKEN, providers: PROVIDERS });
  const withoutComments = (text: string) =>
    text
      .split("\n")
      .filter((line) => !line.startsWith("#"))
      .join("\n");
  for (const [id, format] of Object.entries(FORMATS)) {
    const snippet = snippets.find((each) => each.id === id);
    assert.equal(
      withoutComments(snippet?.text ?? ""),
      withoutComments(formatEnvironment(format, AGENT, PROVIDERS, TOKEN)),
      id,
    );
  }
});

it("clients of a provider that the agent can't use are left out", () => {
  const agent = { ...AGENT, providers: ["openai", "gemini"] };
  const usable = usableProviders(
    agent,
    PROVIDERS.map((it) => (it.name === "gemini" ? { ...it, environments: ["staging"] } : it)),
  );
  assert.deepEqual(
    usable.map(({ name }) => name),
    ["openai"],
  );
  const snippets = snippetsFor({ agent, token: TOKEN, providers: usable });
  assert.deepEqual(
    snippets.map(({ id }) => id),
    ["shell", "docker", "compose", "kubernetes", "codex", "python", "javascript"],
  );
  for (const { text } of snippets) assert.ok(!/anthropic|gemini/i.test(text), text);
});
