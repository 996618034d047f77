// Where the calls of model makers name their model, and their paths by use. Each with its source; what that does not show of
// a form shared with OpenAI or Anthropic is taken from theirs. What isn't there is refused to an agent with a list of models.
import type { ModelFacts, ProviderUses } from "./definition.ts";
import {
  chat,
  form,
  imageEdits,
  images,
  inPathAndJson,
  json,
  jsonOrForm,
  messages,
  none,
  realtime,
  responses,
} from "./model-place-forms.ts";

interface Facts {
  readonly models: ModelFacts;
  readonly uses: ProviderUses;
}

// @anthropic-ai/sdk: resources/messages, resources/beta/messages (the advisor tool's `model`), resources/completions. Batches name
// theirs in each request.
export const anthropic: Facts = {
  models: {
    places: [messages(["/v1/messages", "/v1/messages/count_tokens"]), json(["/v1/complete"])],
    rivals: [],
  },
  uses: {
    chat: ["POST /v1/messages", "POST /v1/messages/count_tokens"],
    embeddings: [],
    files: ["/*/files/**", "/*/skills/**", "/*/memory_stores/**"],
  },
};

// openai: resources/*; realtime in src/realtime/ws.ts (`model` in the URL; `call_id` joins a call that has one already).
// Fine-tuning, evals, assistants and threads name models within, WebSockets of Responses and Live in messages alone.
export const openai: Facts = {
  models: {
    places: [
      none("POST", ["/v1/responses/*/cancel"]),
      chat(["/v1/chat/completions"]),
      responses(["/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"]),
      json(["/v1/completions", "/v1/embeddings", "/v1/moderations", "/v1/audio/speech"]),
      images(["/v1/images/generations"]),
      form(["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/variations"]),
      imageEdits(["/v1/images/edits"]),
      jsonOrForm(["/v1/videos"]),
      realtime(["/v1/realtime"]),
    ],
    rivals: ["call_id"],
  },
  uses: {
    chat: ["POST /v1/chat/completions", "POST /v1/responses/**", "GET /v1/responses/*"],
    embeddings: ["POST /v1/embeddings"],
    files: ["/*/files/**", "/*/uploads/**", "/*/containers/**", "/*/vector_stores/**"],
  },
};

// @google/genai: models.ts (`{model}:generateContent` …; `models/` or `tunedModels/` before the name), interactions (`model`, or an
// `agent` in its place), and ai.google.dev/gemini-api/docs/openai. A transcoded body may name the model again
// (google.api.HttpRule; countTokens and batchEmbedContents hold whole requests of their own), and other content types than JSON are
// taken. `routingConfig` and `modelSelectionConfig` are Vertex' ways to let a server choose. Live (WebSocket) names it in a message.
export const gemini: Facts = {
  models: {
    places: [
      {
        ...inPathAndJson(
          "POST",
          [
            "generateContent",
            "streamGenerateContent",
            "countTokens",
            "embedContent",
            "batchEmbedContents",
            "predict",
            "predictLongRunning",
          ].flatMap((verb) => [`/*/models/{model}:${verb}`, `/*/{tunedModels/model}:${verb}`]),
        ),
        also: ["model", "generateContentRequest.model", "requests[].model"],
        tools: ["tools[]", "generateContentRequest.tools[]"],
        rivals: ["generationConfig.routingConfig", "generationConfig.modelSelectionConfig"],
        bodyPrefix: "models/",
      },
      json([
        "/*/interactions",
        "/*/openai/chat/completions",
        "/*/openai/embeddings",
        "/*/openai/images/generations",
      ]),
    ],
    rivals: ["agent"],
  },
  uses: {
    chat: [
      "POST /*/models/*:generatecontent",
      "POST /*/models/*:streamgeneratecontent",
      "POST /*/models/*:counttokens",
      "POST /*/openai/chat/completions",
    ],
    embeddings: [
      "POST /*/models/*:embedcontent",
      "POST /*/models/*:batchembedcontents",
      "POST /*/openai/embeddings",
    ],
    files: [
      "/*/files/**",
      "/*/files:*",
      "/upload/**",
      "/download/**",
      "/*/filesearchstores/**",
      "/*/cachedcontents/**",
      "/*/corpora/**",
    ],
  },
};

// mistralai/client-ts: src/funcs and models/components (guardrailconfig.ts: a guardrail may be run by another model). Agents and
// conversations name an agent instead.
export const mistral: Facts = {
  models: {
    places: [
      {
        ...json(["/v1/chat/completions"]),
        also: [
          "guardrails[].moderation_llm_v1.model_name",
          "guardrails[].moderation_llm_v2.model_name",
        ],
      },
      json([
        "/v1/fim/completions",
        "/v1/embeddings",
        "/v1/moderations",
        "/v1/chat/moderations",
        "/v1/classifications",
        "/v1/chat/classifications",
        "/v1/ocr",
        "/v1/audio/speech",
      ]),
      form(["/v1/audio/transcriptions"]),
    ],
    rivals: ["agent_id"],
  },
  uses: {
    chat: ["POST /v1/chat/completions", "POST /v1/fim/completions"],
    embeddings: ["POST /v1/embeddings"],
    files: ["/*/files/**", "/*/libraries/**"],
  },
};

// api-docs.deepseek.com: /chat/completions, /beta/completions, and Anthropic's form under /anthropic.
export const deepseek: Facts = {
  models: {
    places: [
      json([
        "/chat/completions",
        "/v1/chat/completions",
        "/beta/chat/completions",
        "/completions",
        "/v1/completions",
        "/beta/completions",
      ]),
      messages(["/anthropic/v1/messages"]),
    ],
    rivals: [],
  },
  uses: {
    chat: [
      "POST /chat/completions",
      "POST /v1/chat/completions",
      "POST /beta/chat/completions",
      "POST /anthropic/v1/messages",
    ],
    embeddings: [],
    files: [],
  },
};

// docs.x.ai/docs/api-reference: OpenAI's and Anthropic's forms.
export const xai: Facts = {
  models: {
    places: [
      json([
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/complete",
        "/v1/embeddings",
        "/v1/images/generations",
        "/v1/tokenize-text",
      ]),
      messages(["/v1/messages"]),
      responses(["/v1/responses"]),
    ],
    rivals: ["prompt_id"],
  },
  uses: {
    chat: [
      "POST /v1/chat/completions",
      "POST /v1/responses",
      "GET /v1/responses/*",
      "POST /v1/messages",
    ],
    embeddings: ["POST /v1/embeddings"],
    files: ["/*/files/**", "/*/collections/**"],
  },
};

// cohere-ai/cohere-typescript: src/Client.ts, src/api/resources/v2; docs.cohere.com/docs/compatibility-api. `preset` was a stored
// choice of generate's.
export const cohere: Facts = {
  models: {
    places: [
      json([
        "/v1/chat",
        "/v2/chat",
        "/v1/generate",
        "/v1/summarize",
        "/v1/embed",
        "/v2/embed",
        "/v1/rerank",
        "/v2/rerank",
        "/v1/classify",
        "/v1/tokenize",
        "/v1/detokenize",
        "/compatibility/v1/chat/completions",
        "/compatibility/v1/embeddings",
      ]),
      form(["/v2/audio/transcriptions"]),
    ],
    rivals: ["preset"],
  },
  uses: {
    chat: ["POST /v1/chat", "POST /v2/chat", "POST /compatibility/v1/chat/completions"],
    embeddings: ["POST /v1/embed", "POST /v2/embed", "POST /compatibility/v1/embeddings"],
    files: ["/*/datasets/**", "/*/connectors/**"],
  },
};

// docs.perplexity.ai/api-reference. The agent API takes a `preset`, or `models` to fall back on; asynchronous calls name theirs
// within `request`.
export const perplexity: Facts = {
  models: {
    places: [
      json(["/chat/completions", "/v1/chat/completions", "/v1/embeddings"]),
      responses(["/v1/responses", "/v1/agent"]),
    ],
    rivals: ["models", "preset"],
  },
  uses: {
    chat: ["POST /chat/completions", "POST /v1/responses", "POST /v1/agent"],
    embeddings: ["POST /v1/embeddings"],
    files: [],
  },
};
