// The second half of the table: companies that serve other people's models. Facts only, each with its source; never a key.
// In sensitive paths a version is `*`: the next version will mint credentials just as well.
import { type ProviderDefinition, probe } from "./definition.ts";
import {
  openrouter,
  groq,
  together,
  fireworks,
  huggingface,
  azureOpenai,
  bedrock,
  fal,
  falQueue,
} from "./host-models.ts";

const BEARER = { header: "authorization", scheme: "Bearer" } as const;
const FAL_KEY = { header: "authorization", scheme: "Key" } as const;

export const MODEL_HOSTS: readonly ProviderDefinition[] = [
  // openrouter.ai/docs/api-reference, .../oauth/exchange-a-workload-identity-token, .../vault/list-workspace-secrets,
  // .../guides/overview/auth/management-api-keys and .../oauth; its typescript-sdk.
  {
    name: "openrouter",
    title: "OpenRouter",
    origin: "https://openrouter.ai",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "openrouter",
    keyPattern: /^sk-or-/,
    sensitiveEndpoints: [
      { name: "api-keys", method: "*", paths: ["/api/*/keys/**", "/api/*/auth/keys/**"] },
      { name: "provider-keys", method: "*", paths: ["/api/*/byok/**"] },
      { name: "oauth", method: "*", paths: ["/api/*/oauth/**"] },
      { name: "vault", method: "*", paths: ["/api/*/vault/**"] },
      {
        name: "organization-admin",
        method: "*",
        paths: [
          "/api/*/organization/**",
          "/api/*/workspaces/**",
          "/api/*/guardrails/**",
          "/api/*/observability/**",
          "/api/*/scim/**",
        ],
      },
    ],
    slashedNames: ["/api/*/models/{name}"], // openai/gpt-5: the openai package encodes what it is given
    ...openrouter,
    probe: probe("/api/v1/key"), // its models are listed for everybody
    openPaths: ["/api/v1/models"],
    client: {
      baseUrlVariable: "OPENROUTER_BASE_URL",
      keyVariable: "OPENROUTER_API_KEY",
      basePath: "/api/v1",
    },
    otherKeyVariables: ["OR_API_KEY"],
  },
  // console.groq.com/docs/api-reference and groq-typescript, whose paths begin /openai/v1. No endpoint there makes keys.
  {
    name: "groq",
    title: "Groq",
    origin: "https://api.groq.com",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "openai",
    keyPattern: /^gsk_/,
    sensitiveEndpoints: [],
    slashedNames: ["/openai/*/models/{name}"], // openai/gpt-oss-120b
    ...groq,
    probe: probe("/openai/v1/models"),
    client: { baseUrlVariable: "GROQ_BASE_URL", keyVariable: "GROQ_API_KEY", basePath: "" },
  },
  // docs.together.ai/reference, and together-typescript for the paths.
  {
    name: "together",
    title: "Together AI",
    origin: "https://api.together.ai",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "openai",
    keyPattern: undefined,
    sensitiveEndpoints: [
      // The answer has the cluster's kube_config.
      { name: "clusters", method: "*", paths: ["/*/compute/clusters/**"] },
      { name: "deployment-secrets", method: "*", paths: ["/*/deployments/secrets/**"] },
    ],
    slashedNames: ["/*/models/{name}", "/*/supported-models/{name}"], // meta-llama/…
    ...together,
    probe: probe("/v1/models"),
    client: {
      baseUrlVariable: "TOGETHER_BASE_URL",
      keyVariable: "TOGETHER_API_KEY",
      basePath: "/v1",
    },
    otherKeyVariables: ["TOGETHERAI_API_KEY"],
  },
  // docs.fireworks.ai/api-reference: /create-api-key, /list-api-keys, /create-secret
  {
    name: "fireworks",
    title: "Fireworks AI",
    origin: "https://api.fireworks.ai",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "openai",
    keyPattern: /^fw_/,
    sensitiveEndpoints: [
      { name: "users", method: "*", paths: ["/*/accounts/*/users/**"] }, // .../apiKeys, .../apiKeys:delete
      { name: "secrets", method: "*", paths: ["/*/accounts/*/secrets/**"] },
    ],
    slashedNames: ["/inference/*/models/{name}"], // accounts/fireworks/models/…
    ...fireworks,
    probe: probe("/inference/v1/models"),
    client: {
      baseUrlVariable: undefined,
      keyVariable: "FIREWORKS_API_KEY",
      basePath: "/inference/v1",
    },
    otherKeyVariables: ["FIREWORKSAI_API_KEY"],
  },
  // huggingface.co/docs/inference-providers: one router for all of them. Its own clients send a key that does not begin
  // with hf_ past the router, so the client here is OpenAI's SDK, as its docs show.
  {
    name: "huggingface",
    title: "Hugging Face",
    origin: "https://router.huggingface.co",
    originPattern: undefined,
    credential: BEARER,
    errorShape: "huggingface",
    keyPattern: /^hf_/,
    sensitiveEndpoints: [],
    slashedNames: ["/*/models/{name}", "/hf-inference/models/{name}/pipeline/*"], // meta-llama/…
    ...huggingface,
    probe: null, // the router lists its models for everybody
    openPaths: ["/v1/models"],
    client: { baseUrlVariable: undefined, keyVariable: "HF_TOKEN", basePath: "/v1" },
    otherKeyVariables: [
      "HUGGING_FACE_HUB_TOKEN",
      "HUGGINGFACE_API_KEY",
      "HUGGINGFACEHUB_API_TOKEN",
    ],
  },
  // learn.microsoft.com/azure/ai-foundry/openai: a host for each resource. The same key opens the resource's other services.
  {
    name: "azure-openai",
    title: "Azure OpenAI",
    origin: undefined,
    originPattern:
      /^https:\/\/[a-z0-9-]+\.(?:openai|cognitiveservices|services\.ai)\.azure\.(?:com|us|cn)$/,
    credential: { header: "api-key", scheme: "" },
    errorShape: "azure",
    keyPattern: undefined,
    sensitiveEndpoints: [
      {
        name: "realtime-client-secrets",
        method: "*",
        paths: [
          "/openai/realtimeapi/sessions/**",
          "/openai/realtime/client_secrets/**",
          "/openai/realtime/sessions/**",
          "/openai/*/realtime/client_secrets/**",
          "/openai/*/realtime/sessions/**",
          "/openai/*/realtime/transcription_sessions/**",
          "/openai/*/realtime/translations/client_secrets/**",
          "/api/projects/*/openai/realtime/client_secrets/**",
          "/api/projects/*/openai/realtime/sessions/**",
          "/api/projects/*/openai/*/realtime/client_secrets/**",
          "/api/projects/*/openai/*/realtime/sessions/**",
          "/api/projects/*/openai/*/realtime/transcription_sessions/**",
          "/api/projects/*/openai/*/realtime/translations/client_secrets/**",
        ],
      },
      // .../ai-services/authentication (issueToken), the Speech avatar's relay token, the Face service's session tokens, and the tokens by
      // which another resource copies a model (DocumentModelCopyAuthorization, Content Understanding's grantCopyAuthorization).
      {
        name: "access-tokens",
        method: "*",
        paths: [
          "/sts/**",
          "/cognitiveservices/avatar/relay/token/**",
          "/tts/cognitiveservices/avatar/relay/token/**",
          "/face/*/detectliveness*/**",
          "/documentintelligence/*authorizecopy",
          "/formrecognizer/*authorizecopy",
          "/formrecognizer/*/custom/models/copyauthorization",
          "/contentunderstanding/analyzers/*grantcopyauthorization",
        ],
      },
      // .../ai-foundry/reference/foundry-project: connections with their credentials, storage credentials of a dataset.
      {
        name: "project-credentials",
        method: "*",
        paths: [
          "/api/projects/*/connections/*/getconnectionwithcredentials",
          "/api/projects/*/datasets/*/versions/*/credentials",
          "/api/projects/*/datasets/*/versions/*/startpendingupload",
        ],
      },
    ],
    ...azureOpenai,
    probe: probe("/openai/v1/models"),
    client: {
      baseUrlVariable: "AZURE_OPENAI_ENDPOINT",
      keyVariable: "AZURE_OPENAI_API_KEY",
      basePath: "",
    },
    otherKeyVariables: ["AZURE_OPENAI_AD_TOKEN", "AZURE_INFERENCE_CREDENTIAL"],
  },
  // docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html, .../endpoints.html and .../projects.html; key forms as in
  // gitleaks; the variable from docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html.
  {
    name: "bedrock",
    title: "Amazon Bedrock",
    origin: undefined,
    originPattern:
      /^https:\/\/(?:bedrock-runtime(?:-fips)?\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?:\.cn)?|bedrock-mantle\.[a-z]{2}(?:-[a-z]+)+-\d\.api\.aws)$/,
    credential: BEARER,
    errorShape: "aws",
    keyPattern: /^(?:ABSK[A-Za-z0-9+/]{100}|bedrock-api-key-)/,
    sensitiveEndpoints: [
      { name: "organization-admin", method: "*", paths: ["/*/organization/**"] },
    ],
    ...bedrock,
    probe: null, // models are listed at another host
    client: {
      baseUrlVariable: "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
      keyVariable: "AWS_BEARER_TOKEN_BEDROCK",
      basePath: "",
      httpsOnly: true,
    },
  },
  // fal.ai/docs/documentation/model-apis and fal-ai/fal-js. Its tokens for browsers come from another host, rest.fal.ai.
  {
    name: "fal",
    title: "fal",
    origin: "https://fal.run",
    originPattern: undefined,
    credential: FAL_KEY,
    errorShape: "fal",
    keyPattern: undefined,
    sensitiveEndpoints: [],
    ...fal,
    probe: null,
    client: { baseUrlVariable: undefined, keyVariable: "FAL_KEY", basePath: "" },
  },
  // fal.ai/docs/documentation/model-apis/inference/queue: the same key at a host of its own.
  {
    name: "fal-queue",
    title: "fal queue",
    origin: "https://queue.fal.run",
    originPattern: undefined,
    credential: FAL_KEY,
    errorShape: "fal",
    keyPattern: undefined,
    sensitiveEndpoints: [],
    ...falQueue,
    probe: null,
    client: { baseUrlVariable: undefined, keyVariable: "FAL_KEY", basePath: "" },
  },
];
