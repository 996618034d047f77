// The first half of the table: companies that serve models of their own. Facts only, each with its source; never a key.
// In sensitive paths a version is `*`: the next version will mint credentials just as well.
import { type ProviderDefinition, probe, UNAUTHORISED } from "./definition.ts";
import {
  anthropic,
  openai,
  gemini,
  mistral,
  deepseek,
  xai,
  cohere,
  perplexity,
} from "./maker-models.ts";
import { deepgram, elevenlabs } from "./voice-models.ts";

const BEARER = { header: "authorization", scheme: "Bearer" } as const;

export const MODEL_MAKERS: readonly ProviderDefinition[] = [
  // platform.claude.com/docs/en/api, .../build-with-claude/administration-api, and @anthropic-ai/sdk for the paths.
  {
    name: "anthropic",
    title: "Anthropic",
    origin: "https://api.anthropic.com",
    originPattern: undefined,
    credential: { header: "x-api-key", scheme: "" },
    errorShape: "anthropic",
    keyPattern: /^sk-ant-/,
    sensitiveEndpoints: [
      { name: "organization-admin", method: "*", paths: ["/*/organizations/**"] },
      // Token exchange, and Claude Code's /api/oauth/claude_cli/create_api_key.
      { name: "oauth", method: "*", paths: ["/*/oauth/**"] },
      { name: "vaults", method: "*", paths: ["/*/vaults/**"] },
      // The polled work item carries a session credential (`secret`).
      { name: "environment-work", method: "*", paths: ["/*/environments/*/work/poll"] },
      {
        name: "tunnel-tokens",
        method: "*",
        paths: ["/*/tunnels/*/reveal_token", "/*/tunnels/*/rotate_token"],
      },
      // Links by which whoever holds one acts for the user.
      {
        name: "user-profile-links",
        method: "*",
        paths: ["/*/user_profiles/*/enrollment_url", "/*/user_profiles/*/action_urls"],
      },
    ],
    ...anthropic,
    probe: {
      path: "/v1/models",
      headers: ["anthropic-version", "2023-06-01"],
      refusedWith: UNAUTHORISED,
    },
    client: {
      baseUrlVariable: "ANTHROPIC_BASE_URL",
      keyVariable: "ANTHROPIC_API_KEY",
      basePath: "",
    },
    otherKeyVariables: [
      "ANTHROPIC_AUTH_TOKEN",
      "ANTHROPIC_ADMIN_KEY",
      "CLAUDE_API_KEY",
      "CLAUDE_CODE_OAUTH_TOKEN",
    ],
  },
  // developers.openai.com/api/reference, and the openai package for the paths; key forms as in gitleaks and trufflehog
  // (T3BlbkFJ is base64 for OpenAI). A bare `sk-` is nobody's in particular: DeepSeek and many gateways use it.
  {
    name: "openai",
    title: "OpenAI",
    origin: "https://api.openai.com",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "openai",
    keyPattern: /^sk-(?:(?:proj|svcacct|service|None)-|[A-Za-z0-9]+T3BlbkFJ)/,
    sensitiveEndpoints: [
      {
        name: "organization-admin",
        method: "*",
        paths: [
          "/*/organization/**",
          "/*/organizations/**",
          "/*/projects/**",
          "/dashboard/**", // the web console's own, /dashboard/user/api_keys among it
          "/*/dashboard/**",
        ],
      },
      {
        name: "realtime-client-secrets",
        method: "*",
        paths: [
          "/*/realtime/client_secrets/**",
          "/*/realtime/sessions/**",
          "/*/realtime/transcription_sessions/**",
          "/*/realtime/translations/client_secrets/**",
        ],
      },
      { name: "chatkit-sessions", method: "*", paths: ["/*/chatkit/sessions/**"] },
      { name: "vaults", method: "*", paths: ["/*/vaults/**"] },
      // Creating one or rotating its secret returns the signing secret; reading shows only a hint.
      { name: "webhook-secrets", method: "POST", paths: ["/*/webhook_endpoints/**"] },
    ],
    ...openai,
    probe: probe("/v1/models"),
    client: { baseUrlVariable: "OPENAI_BASE_URL", keyVariable: "OPENAI_API_KEY", basePath: "/v1" },
    otherKeyVariables: ["OPENAI_ADMIN_KEY", "CODEX_API_KEY"],
  },
  // ai.google.dev/gemini-api/docs/api-key (AIza…, since 2026 AQ.…) and .../ephemeral-tokens; @google/genai for the paths.
  {
    name: "gemini",
    title: "Google Gemini",
    origin: "https://generativelanguage.googleapis.com",
    originPattern: undefined,
    credential: { header: "x-goog-api-key", scheme: "" },
    errorShape: "google",
    keyPattern: /^(?:AIza|AQ\.)/,
    sensitiveEndpoints: [
      { name: "auth-tokens", method: "*", paths: ["/*/auth_tokens/**", "/*/authtokens/**"] },
      { name: "credentials", method: "*", paths: ["/*/credentials/**"] },
      { name: "webhook-secrets", method: "*", paths: ["/*/webhooks/**"] },
      // Other doors to every method, the above included: Google's batch endpoint, `$rpc`, and plain gRPC paths.
      {
        name: "raw-rpc",
        method: "*",
        paths: ["/batch/**", "/$rpc/**", "/google.ai.generativelanguage.*/**"],
      },
    ],
    slashedNames: ["/*/openai/models/{name}"], // models/gemini-…, as its list has them
    ...gemini,
    probe: {
      path: "/v1beta/models",
      headers: [],
      refusedWith: [400, ...UNAUTHORISED], // 400 API_KEY_INVALID; nothing else about this call could be wrong
    },
    client: {
      baseUrlVariable: "GOOGLE_GEMINI_BASE_URL",
      keyVariable: "GEMINI_API_KEY",
      basePath: "",
    },
    otherKeyVariables: ["GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY", "PALM_API_KEY"],
  },
  // docs.mistral.ai/api, .../api/endpoint/beta/admin/api-keys, and mistralai/client-ts for the paths; its SDK reads no base URL from the environment (mistralai/client-ts).
  {
    name: "mistral",
    title: "Mistral",
    origin: "https://api.mistral.ai",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "mistral",
    keyPattern: undefined,
    sensitiveEndpoints: [
      {
        name: "connector-credentials",
        method: "*",
        paths: ["/*/connectors/*/*/credentials/**", "/*/connectors/*/auth_url"],
      },
      // Its parameter fetch_customer_data asks for the connector's secrets.
      { name: "connector-secrets", method: "GET", paths: ["/*/connectors/*"] },
      { name: "service-accounts", method: "*", paths: ["/*/service-accounts/**"] },
      { name: "organization-admin", method: "*", paths: ["/api/admin/**"] },
      { name: "client-sessions", method: "*", paths: ["/*/client/sessions/**"] },
    ],
    ...mistral,
    probe: probe("/v1/models"),
    client: { baseUrlVariable: undefined, keyVariable: "MISTRAL_API_KEY", basePath: "" },
    otherKeyVariables: ["CODESTRAL_API_KEY", "MISTRALAI_API_KEY"],
  },
  // api-docs.deepseek.com: OpenAI's and Anthropic's SDKs with another base URL. No endpoint there makes keys.
  {
    name: "deepseek",
    title: "DeepSeek",
    origin: "https://api.deepseek.com",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "openai",
    keyPattern: undefined,
    sensitiveEndpoints: [],
    ...deepseek,
    probe: probe("/models"),
    client: { baseUrlVariable: undefined, keyVariable: "DEEPSEEK_API_KEY", basePath: "" },
  },
  // docs.x.ai/developers/model-capabilities/audio/ephemeral-tokens; keys are managed at another host.
  {
    name: "xai",
    title: "xAI",
    origin: "https://api.x.ai",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "openai",
    keyPattern: /^xai-/,
    sensitiveEndpoints: [
      { name: "realtime-client-secrets", method: "*", paths: ["/*/realtime/client_secrets/**"] },
    ],
    ...xai,
    probe: {
      path: "/v1/models",
      headers: [],
      refusedWith: [400, ...UNAUTHORISED], // 400 "Incorrect API key provided"
    },
    client: { baseUrlVariable: undefined, keyVariable: "XAI_API_KEY", basePath: "/v1" },
    otherKeyVariables: ["GROK_API_KEY"],
  },
  // docs.cohere.com/reference/about, .../reference/oauthauthorize-connector; CO_API_URL is read by the Python SDK. No endpoint there
  // makes or shows keys.
  {
    name: "cohere",
    title: "Cohere",
    origin: "https://api.cohere.com",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "cohere",
    keyPattern: undefined,
    sensitiveEndpoints: [
      // A link by which whoever holds it lets a connector in.
      { name: "connector-links", method: "*", paths: ["/*/connectors/*/oauth/authorize"] },
    ],
    ...cohere,
    probe: probe("/v1/models"),
    client: { baseUrlVariable: "CO_API_URL", keyVariable: "CO_API_KEY", basePath: "" },
    otherKeyVariables: ["COHERE_API_KEY"],
  },
  // docs.perplexity.ai/docs/admin/api-key-management
  {
    name: "perplexity",
    title: "Perplexity",
    origin: "https://api.perplexity.ai",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "openai",
    keyPattern: /^pplx-/,
    sensitiveEndpoints: [
      {
        name: "auth-tokens",
        method: "*",
        paths: [
          "/generate_auth_token",
          "/revoke_auth_token",
          "/*/generate_auth_token",
          "/*/revoke_auth_token",
        ],
      },
    ],
    ...perplexity,
    probe: null,
    client: { baseUrlVariable: undefined, keyVariable: "PERPLEXITY_API_KEY", basePath: "" },
    otherKeyVariables: ["PPLX_API_KEY", "PERPLEXITYAI_API_KEY"],
  },
  // elevenlabs.io/docs/api-reference, and elevenlabs-js for the paths; key form as in trufflehog.
  {
    name: "elevenlabs",
    title: "ElevenLabs",
    origin: "https://api.elevenlabs.io",
    originPattern: undefined,
    credential: { header: "xi-api-key", scheme: "" },
    errorShape: "elevenlabs",
    keyPattern: /^sk_[0-9a-f]{48}$/,
    sensitiveEndpoints: [
      { name: "single-use-tokens", method: "*", paths: ["/*/single-use-token/**"] },
      {
        name: "conversation-tokens",
        method: "*",
        paths: [
          "/*/convai/conversation/get-signed-url",
          "/*/convai/conversation/get_signed_url",
          "/*/convai/conversation/token",
          "/*/convai/agents/*/link",
          "/*/convai/twilio/register-call", // its TwiML has the call's token
        ],
      },
      // The answers have the agent's settings, shareable_token among them.
      {
        name: "agent-settings",
        method: "GET",
        paths: ["/*/convai/agents/*", "/*/convai/agents/*/branches/*/*-preview"],
      },
      { name: "agent-changes", method: "PATCH", paths: ["/*/convai/agents/*"] },
      // With the token and the headers that the agent sends to the server.
      { name: "mcp-servers", method: "*", paths: ["/*/convai/mcp-servers/**"] },
      { name: "service-accounts", method: "*", paths: ["/*/service-accounts/**"] },
      { name: "workspace-admin", method: "*", paths: ["/*/workspace/**", "/*/workspaces/**"] },
      { name: "workspace-secrets", method: "*", paths: ["/*/convai/secrets/**"] },
      { name: "user", method: "GET", paths: ["/*/user"] }, // its answer has the field xi_api_key
    ],
    ...elevenlabs,
    probe: null, // its docs list models without a key, and a good key may lack the right to read its user
    client: { baseUrlVariable: undefined, keyVariable: "ELEVENLABS_API_KEY", basePath: "" },
    otherKeyVariables: ["ELEVEN_API_KEY", "ELEVEN_LABS_API_KEY", "XI_API_KEY"],
  },
  // developers.deepgram.com/reference: /auth/tokens/grant, /manage/keys, /self-hosted/distribution-credentials
  {
    name: "deepgram",
    title: "Deepgram",
    origin: "https://api.deepgram.com",
    originPattern: undefined,
    credential: { header: "authorization", scheme: "Token" },
    errorShape: "deepgram",
    keyPattern: undefined,
    sensitiveEndpoints: [
      { name: "access-tokens", method: "*", paths: ["/*/auth/grant"] },
      { name: "api-keys", method: "*", paths: ["/*/projects/*/keys/**"] },
      {
        name: "project-members",
        method: "*",
        paths: ["/*/projects/*/members/**", "/*/projects/*/invites/**"],
      },
      {
        name: "distribution-credentials",
        method: "*",
        paths: [
          "/*/projects/*/self-hosted/distribution/**",
          "/*/projects/*/selfhosted/distribution/**",
          "/*/projects/*/onprem/distribution/**",
        ],
      },
    ],
    ...deepgram,
    probe: probe("/v1/auth/token"),
    client: { baseUrlVariable: undefined, keyVariable: "DEEPGRAM_API_KEY", basePath: "" },
    otherKeyVariables: ["DG_API_KEY"],
  },
];
