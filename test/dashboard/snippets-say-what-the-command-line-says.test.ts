import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { formatEnvironment } from "../../src/cli/agent-environment.ts";
import type { Provider } from "../../src/contract/index.ts";
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
    ...(provider.client.httpsOnly !== undefined && { httpsOnly: provider.client.httpsOnly }),
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

const withoutComments = (text: string) =>
  text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n");

function at(publicUrl: string): Provider[] {
  return PROVIDERS.map((it) => ({ ...it, baseUrl: `${publicUrl}/${it.name}` }));
}

/** Each text of both, by the way of connecting. */
function bothOf(providers: Provider[]) {
  const snippets = snippetsFor({ agent: AGENT, token: TOKEN, providers });
  return Object.entries(FORMATS).map(([id, format]) => ({
    id,
    dashboard: snippets.find((each) => each.id === id)?.text ?? "",
    command: formatEnvironment(format, AGENT, providers, TOKEN),
  }));
}

it("shell, Docker, Compose and Kubernetes set the same variables as `agent env`", () => {
  for (const publicUrl of ["https://llm.example.test", "http://127.0.0.1:8787"]) {
    for (const { id, dashboard, command } of bothOf(at(publicUrl))) {
      assert.equal(withoutComments(dashboard), withoutComments(command), id);
    }
  }
});

it("in a container no address of this machine's own is named, however it is spelt", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const spelling = fc.oneof(
    fc.constantFrom("localhost", "LOCALHOST", "localhost.", "llm.localhost", "0.0.0.0", "127.1"),
    fc.constantFrom("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "0x7f.1"),
    fc.tuple(octet, octet, octet).map((parts) => `127.${parts.join(".")}`),
    fc.tuple(octet, octet, octet).map((parts) => `[::ffff:127.${parts.join(".")}]`),
  );
  fc.assert(
    fc.property(spelling, fc.constantFrom("http", "https"), (host, scheme) => {
      for (const { id, dashboard, command } of bothOf(at(`${scheme}://${host}:8787`))) {
        for (const text of [dashboard, command]) {
          assert.equal(text.includes(`${scheme}://${host}:8787/openai`), id === "shell", text);
          if (id === "shell") continue;
          const name = id === "kubernetes" ? "x3sproxy.x3sproxy.svc" : "host.docker.internal";
          assert.ok(text.includes(`${scheme}://${name}:8787/openai/v1`), text);
          assert.equal(text.includes("host.docker.internal:host-gateway"), id !== "kubernetes");
        }
      }
    }),
    { seed: 14_21, numRuns: 60 },
  );
});

it("an address that others reach stays as it is", () => {
  for (const publicUrl of ["http://10.1.2.3:8787", "http://127.example.test", "http://[fd00::1]"]) {
    for (const { dashboard, command } of bothOf(at(publicUrl))) {
      for (const text of [dashboard, command]) {
        assert.ok(text.includes(`${publicUrl}/openai/v1`), text);
        assert.doesNotMatch(text, /host\.docker\.internal|x3sproxy\.svc/);
      }
    }
  }
});

it("that AWS's SDKs send no key by plain http is said with it, and only then", () => {
  for (const [publicUrl, said] of [
    ["http://llm.example.test", true],
    ["https://llm.example.test", false],
  ] as const) {
    for (const { dashboard, command } of bothOf(at(publicUrl))) {
      for (const text of [dashboard, command]) {
        assert.equal(/# bedrock: .* over https alone/.test(text), said, text);
      }
    }
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
