import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { builtInProviders, sensitiveEndpoint } from "../../src/providers/index.ts";

interface Examples {
  readonly sensitive: readonly [method: string, path: string, endpoint: string][];
  readonly ordinary: readonly [method: string, path: string][];
}

// For each provider: what must be recognised, and its everyday neighbours that must not be.
const EXAMPLES: Readonly<Record<string, Examples>> = {
  anthropic: {
    sensitive: [
      ["GET", "/v1/organizations/api_keys", "organization-admin"],
      ["POST", "/v1/organizations/workspaces/w1/members", "organization-admin"],
      ["GET", "/v2/organizations", "organization-admin"],
      ["POST", "/v1/organizations/webhooks/w1/regenerate_signing_secret", "organization-admin"],
      ["POST", "/v1/oauth/token", "oauth"],
      ["POST", "/api/oauth/claude_cli/create_api_key", "oauth"],
      ["GET", "/v1/vaults/v1/credentials", "vaults"],
      ["GET", "/v1/environments/e1/work/poll", "environment-work"],
      ["POST", "/v1/tunnels/t1/reveal_token", "tunnel-tokens"],
      ["POST", "/v1/tunnels/t1/rotate_token", "tunnel-tokens"],
      ["POST", "/v1/user_profiles/u1/enrollment_url", "user-profile-links"],
      ["POST", "/v1/user_profiles/u1/action_urls", "user-profile-links"],
    ],
    ordinary: [
      ["HEAD", "/"],
      ["POST", "/v1/messages"],
      ["POST", "/v1/messages/count_tokens"],
      ["GET", "/v1/models/organizations"],
      ["GET", "/v1/environments/e1/work"],
      ["GET", "/v1/tunnels/t1"],
      ["GET", "/v1/user_profiles/u1"],
    ],
  },
  openai: {
    sensitive: [
      ["POST", "/v1/organization/admin_api_keys", "organization-admin"],
      ["GET", "/v1/organization/projects/p1/service_accounts/s1/api_keys", "organization-admin"],
      ["DELETE", "/v1/organization/users/u1", "organization-admin"],
      ["POST", "/v1/projects/p1/users/u1/roles", "organization-admin"],
      ["POST", "/dashboard/user/api_keys", "organization-admin"],
      ["POST", "/v1/realtime/client_secrets", "realtime-client-secrets"],
      ["POST", "/v1/realtime/sessions", "realtime-client-secrets"],
      ["POST", "/v1/realtime/transcription_sessions", "realtime-client-secrets"],
      ["POST", "/v1/realtime/translations/client_secrets", "realtime-client-secrets"],
      ["POST", "/v1/chatkit/sessions", "chatkit-sessions"],
      ["GET", "/v1/vaults/v1/credentials", "vaults"],
      ["POST", "/v1/webhook_endpoints", "webhook-secrets"],
      ["POST", "/v1/webhook_endpoints/w1/rotate_signing_secret", "webhook-secrets"],
    ],
    ordinary: [
      ["POST", "/v1/responses"],
      ["POST", "/v1/chat/completions"],
      ["GET", "/v1/realtime"],
      ["POST", "/v1/realtime/calls"],
      ["GET", "/v1/chatkit/threads"],
      ["GET", "/v1/webhook_endpoints"],
      ["HEAD", "/v1/webhook_endpoints"],
      ["GET", "/v1/models/organization"],
      ["POST", "/v1/organizational"],
    ],
  },
  gemini: {
    sensitive: [
      ["POST", "/v1alpha/auth_tokens", "auth-tokens"],
      ["POST", "/v1beta/auth_tokens", "auth-tokens"],
      ["POST", "/v1/authtokens", "auth-tokens"],
      ["POST", "/v1alpha/auth_tokens:create", "auth-tokens"],
      ["GET", "/v1beta/credentials/c1", "credentials"],
      ["POST", "/v1/webhooks", "webhook-secrets"],
      ["POST", "/v1/webhooks/w1:rotatesigningsecret", "webhook-secrets"],
      ["POST", "/batch", "raw-rpc"],
      ["POST", "/batch/generativelanguage/v1beta", "raw-rpc"],
      [
        "POST",
        "/$rpc/google.ai.generativelanguage.v1alpha.authtokenservice/createtoken",
        "raw-rpc",
      ],
      ["POST", "/google.ai.generativelanguage.v1alpha.authtokenservice/createtoken", "raw-rpc"],
    ],
    ordinary: [
      ["POST", "/v1beta/models/gemini-3-pro:generatecontent"],
      ["POST", "/v1beta/models/gemini-3-pro:streamgeneratecontent"],
      ["POST", "/v1beta/openai/chat/completions"],
      ["GET", "/v1beta/batches"],
      ["POST", "/upload/v1beta/files"],
      ["GET", "/ws/google.ai.generativelanguage.v1beta.generativeservice.bidigeneratecontent"],
    ],
  },
  mistral: {
    sensitive: [
      ["GET", "/v1/connectors/c1/workspace/credentials", "connector-credentials"],
      ["POST", "/v1/connectors/c1/organization/credentials/main", "connector-credentials"],
      ["GET", "/v1/connectors/c1/auth_url", "connector-credentials"],
      ["GET", "/v1/connectors/c1", "connector-secrets"],
      ["POST", "/v1/service-accounts/s1/api-keys", "service-accounts"],
      ["GET", "/v1/service-accounts", "service-accounts"],
      ["POST", "/api/admin/api-keys", "organization-admin"],
      ["POST", "/v1/client/sessions", "client-sessions"],
    ],
    ordinary: [
      ["POST", "/v1/chat/completions"],
      ["GET", "/v1/connectors/c1/tools"],
      ["GET", "/v1/connectors"],
    ],
  },
  deepseek: { sensitive: [], ordinary: [["POST", "/chat/completions"]] },
  xai: {
    sensitive: [["POST", "/v1/realtime/client_secrets", "realtime-client-secrets"]],
    ordinary: [
      ["POST", "/v1/chat/completions"],
      ["GET", "/v1/realtime"],
    ],
  },
  cohere: {
    sensitive: [["POST", "/v1/connectors/c1/oauth/authorize", "connector-links"]],
    ordinary: [
      ["POST", "/v2/chat"],
      ["GET", "/v1/connectors/c1"], // its secrets are never returned
    ],
  },
  perplexity: {
    sensitive: [
      ["POST", "/generate_auth_token", "auth-tokens"],
      ["POST", "/v1/revoke_auth_token", "auth-tokens"],
    ],
    ordinary: [["POST", "/chat/completions"]],
  },
  elevenlabs: {
    sensitive: [
      ["POST", "/v1/single-use-token/realtime_scribe", "single-use-tokens"],
      ["GET", "/v1/convai/conversation/get-signed-url", "conversation-tokens"],
      ["GET", "/v1/convai/conversation/get_signed_url", "conversation-tokens"],
      ["GET", "/v1/convai/conversation/token", "conversation-tokens"],
      ["GET", "/v1/convai/agents/a1/link", "conversation-tokens"],
      ["POST", "/v1/convai/twilio/register-call", "conversation-tokens"],
      ["GET", "/v1/convai/agents/a1", "agent-settings"],
      ["HEAD", "/v1/convai/agents/a1", "agent-settings"],
      ["GET", "/v1/convai/agents/a1/branches/b1/merge-preview", "agent-settings"],
      ["PATCH", "/v1/convai/agents/a1", "agent-changes"],
      ["GET", "/v1/convai/mcp-servers", "mcp-servers"],
      ["PATCH", "/v1/convai/mcp-servers/m1", "mcp-servers"],
      ["POST", "/v1/service-accounts/s1/api-keys", "service-accounts"],
      ["POST", "/v1/workspace/invites/add", "workspace-admin"],
      ["POST", "/v1/workspaces/api-keys/disable", "workspace-admin"],
      ["GET", "/v1/convai/secrets", "workspace-secrets"],
      ["GET", "/v1/user", "user"],
    ],
    ordinary: [
      ["POST", "/v1/text-to-speech/v1/stream"],
      ["GET", "/v1/user/subscription"],
      ["GET", "/v1/convai/conversation"],
      ["GET", "/v1/convai/agents"],
      ["POST", "/v1/convai/agents/create"],
      ["POST", "/v1/convai/agents/a1/simulate-conversation"],
      ["POST", "/v1/convai/twilio/outbound-call"],
    ],
  },
  deepgram: {
    sensitive: [
      ["POST", "/v1/auth/grant", "access-tokens"],
      ["POST", "/v1/projects/p1/keys", "api-keys"],
      ["GET", "/v1/projects/p1/keys/k1", "api-keys"],
      ["POST", "/v1/projects/p1/invites", "project-members"],
      ["PUT", "/v1/projects/p1/members/m1/scopes", "project-members"],
      ["POST", "/v1/projects/p1/self-hosted/distribution/credentials", "distribution-credentials"],
      ["GET", "/v1/projects/p1/onprem/distribution/credentials", "distribution-credentials"],
    ],
    ordinary: [
      ["POST", "/v1/listen"],
      ["GET", "/v1/projects/p1/usage"],
      ["GET", "/v1/projects"],
    ],
  },
  openrouter: {
    sensitive: [
      ["POST", "/api/v1/keys", "api-keys"],
      ["DELETE", "/api/v1/keys/hash1", "api-keys"],
      ["POST", "/api/v1/auth/keys", "api-keys"],
      ["POST", "/api/v1/auth/keys/code", "api-keys"],
      ["GET", "/api/v1/byok", "provider-keys"],
      ["POST", "/api/v1/oauth/token", "oauth"],
      ["GET", "/api/v1/vault/secrets", "vault"],
      ["PUT", "/api/v1/vault/secrets/s1", "vault"],
      ["POST", "/api/v1/workspaces/w1/members/add", "organization-admin"],
      ["GET", "/api/v1/guardrails/assignments/keys", "organization-admin"],
    ],
    ordinary: [
      ["POST", "/api/v1/chat/completions"],
      ["GET", "/api/v1/key"],
      ["GET", "/api/v1/auth/key"],
      ["GET", "/api/v1/credits"],
    ],
  },
  groq: { sensitive: [], ordinary: [["POST", "/openai/v1/chat/completions"]] },
  together: {
    sensitive: [
      ["GET", "/v1/compute/clusters/c1", "clusters"],
      ["GET", "/v1/deployments/secrets", "deployment-secrets"],
    ],
    ordinary: [
      ["POST", "/v1/chat/completions"],
      ["GET", "/v1/deployments/d1"],
      ["GET", "/v1/whoami"],
    ],
  },
  fireworks: {
    sensitive: [
      ["POST", "/v1/accounts/a1/users/u1/apikeys", "users"],
      ["POST", "/v1/accounts/a1/users/u1/apikeys:delete", "users"],
      ["GET", "/v1/accounts/a1/secrets/s1", "secrets"],
    ],
    ordinary: [
      ["POST", "/inference/v1/chat/completions"],
      ["GET", "/v1/accounts/a1/models"],
    ],
  },
  huggingface: { sensitive: [], ordinary: [["POST", "/v1/chat/completions"]] },
  "azure-openai": {
    sensitive: [
      ["POST", "/openai/v1/realtime/client_secrets", "realtime-client-secrets"],
      ["POST", "/openai/realtimeapi/sessions", "realtime-client-secrets"],
      ["POST", "/openai/realtime/client_secrets", "realtime-client-secrets"],
      ["POST", "/api/projects/p1/openai/v1/realtime/client_secrets", "realtime-client-secrets"],
      ["POST", "/api/projects/p1/openai/v1/realtime/sessions", "realtime-client-secrets"],
      [
        "POST",
        "/api/projects/p1/openai/v1/realtime/transcription_sessions",
        "realtime-client-secrets",
      ],
      [
        "POST",
        "/api/projects/p1/openai/v1/realtime/translations/client_secrets",
        "realtime-client-secrets",
      ],
      ["POST", "/documentintelligence/documentmodels:authorizecopy", "access-tokens"],
      ["POST", "/contentunderstanding/analyzers/a1:grantcopyauthorization", "access-tokens"],
      ["POST", "/sts/v1.0/issuetoken", "access-tokens"],
      ["GET", "/tts/cognitiveservices/avatar/relay/token/v1", "access-tokens"],
      ["POST", "/face/v1.2/detectliveness-sessions", "access-tokens"],
      ["POST", "/face/v1.1/detectlivenesswithverify/singlemodal/sessions", "access-tokens"],
      [
        "POST",
        "/api/projects/p1/connections/c1/getconnectionwithcredentials",
        "project-credentials",
      ],
      ["POST", "/api/projects/p1/datasets/d1/versions/1/credentials", "project-credentials"],
    ],
    ordinary: [
      ["POST", "/openai/deployments/gpt/chat/completions"],
      ["POST", "/openai/v1/responses"],
      ["GET", "/openai/realtime"],
      ["GET", "/openai/v1/realtime"],
      ["GET", "/api/projects/p1/connections"],
      ["GET", "/api/projects/p1/openai/v1/realtime"],
      ["POST", "/documentintelligence/documentmodels/prebuilt-read:analyze"],
    ],
  },
  bedrock: {
    sensitive: [["POST", "/v1/organization/projects", "organization-admin"]],
    ordinary: [
      ["POST", "/model/anthropic.claude-sonnet/converse-stream"],
      ["POST", "/openai/v1/chat/completions"],
    ],
  },
  fal: { sensitive: [], ordinary: [["POST", "/fal-ai/flux/dev"]] },
  "fal-queue": { sensitive: [], ordinary: [["GET", "/fal-ai/flux/requests/r1/status"]] },
};

test("there are examples for every provider and every sensitive endpoint", () => {
  for (const { name, sensitiveEndpoints } of builtInProviders.values()) {
    const shown = new Set(EXAMPLES[name]?.sensitive.map(([, , endpoint]) => endpoint));
    assert.deepEqual([...shown].sort(), sensitiveEndpoints.map((it) => it.name).sort(), name);
    assert.notEqual(EXAMPLES[name]?.ordinary.length ?? 0, 0, name);
  }
});

for (const [provider, { sensitive, ordinary }] of Object.entries(EXAMPLES)) {
  test(`${provider}: sensitive calls have their name, ordinary ones none`, () => {
    for (const [method, path, endpoint] of sensitive) {
      assert.equal(
        sensitiveEndpoint(provider, method, path),
        `${provider}:${endpoint}`,
        `${method} ${path}`,
      );
    }
    for (const [method, path] of ordinary) {
      assert.equal(sensitiveEndpoint(provider, method, path), undefined, `${method} ${path}`);
    }
  });
}

test("any method is sensitive where the endpoint does not name one", () => {
  for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X-ODD"]) {
    assert.equal(
      sensitiveEndpoint("openai", method, "/v1/organization/admin_api_keys"),
      "openai:organization-admin",
      method,
    );
  }
});

test("HEAD counts as GET", () => {
  assert.equal(sensitiveEndpoint("elevenlabs", "HEAD", "/v1/user"), "elevenlabs:user");
  assert.equal(sensitiveEndpoint("elevenlabs", "DELETE", "/v1/user"), undefined);
});

test("whatever lies below a deep endpoint is sensitive, whatever a segment holds", () => {
  const segment = fc
    .string({ minLength: 1, unit: "binary" })
    .map((text) => text.replaceAll("/", "-").toLowerCase());
  fc.assert(
    fc.property(segment, fc.array(segment, { maxLength: 6 }), (version, below) => {
      const path = ["", version, "organization", ...below].join("/");
      assert.equal(sensitiveEndpoint("openai", "GET", path), "openai:organization-admin");
    }),
  );
});

test("custom and unknown providers have no sensitive endpoints", () => {
  for (const name of ["my-gateway", "", "constructor", "__proto__"]) {
    assert.equal(sensitiveEndpoint(name, "POST", "/v1/organization/admin_api_keys"), undefined);
  }
});
