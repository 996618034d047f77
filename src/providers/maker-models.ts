// Where the calls of model makers name their model, and their paths by use. Each with its source; what that does not show of
// a form shared with OpenAI or Anthropic is taken from theirs. What isn't there is refused to an agent with a list of models.
import type { ModelFacts, ProviderUses } from "./definition.ts";
import { chat, form, json, jsonOrForm, none, query, responses } from "./model-place-forms.ts";

interface Facts {
  readonly models: ModelFacts;
  readonly uses: ProviderUses;
}

// @anthropic-ai/sdk: resources/messages, resources/completions. `fallbacks` (beta) names models to go on with. Batches name theirs in
// each request.
export const anthropic: Facts = {
  models: {
    places: [json(["/v1/messages", "/v1/messages/count_tokens", "/v1/complete"])],
    rivals: ["fallbacks"],
  },
  uses: {
    chat: ["POST /v1/messages", "POST /v1/messages/count_tokens"],
    embeddings: [],
    files: ["/*/files/**", "/*/skills/**", "/*/memory_stores/**"],
  },
};

// openai: resources/*; realtime in src/realtime/ws.ts (`model` in the URL; `call_id` joins a call that has one already).
// Fine-tuning, evals, assistants and threads name models within.
export const openai: Facts = {
  models: {
    places: [
      none("POST", ["/v1/responses/*/cancel"]),
      chat(["/v1/chat/completions"]),
      responses(["/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"]),
      json([
        "/v1/completions",
        "/v1/embeddings",
        "/v1/moderations",
        "/v1/images/generations",
        "/v1/audio/speech",
      ]),
      form(["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/variations"]),
      jsonOrForm(["/v1/images/edits", "/v1/videos"]),
      query("WEBSOCKET", ["/v1/realtime"]),
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
// (google.api.HttpRule), and other content types than JSON are taken. Live (WebSocket) names it in a message.
export const gemini: Facts = {
  models: {
    places: [
      {
        method: "POST",
        paths: [
          "generateContent",
          "streamGenerateContent",
          "countTokens",
          "embedContent",
          "batchEmbedContents",
          "predict",
          "predictLongRunning",
        ].flatMap((verb) => [`/*/models/{model}:${verb}`, `/*/{tunedModels/model}:${verb}`]),
        at: "path json",
        name: "model",
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

// mistralai/client-ts: src/funcs and models/components. Agents and conversations name an agent instead.
export const mistral: Facts = {
  models: {
    places: [
      json([
        "/v1/chat/completions",
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
        "/anthropic/v1/messages",
      ]),
    ],
    rivals: ["fallbacks"],
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
        "/v1/messages",
        "/v1/complete",
        "/v1/embeddings",
        "/v1/images/generations",
        "/v1/tokenize-text",
      ]),
      responses(["/v1/responses"]),
    ],
    rivals: ["fallbacks", "prompt_id"],
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
      json([
        "/chat/completions",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/agent",
        "/v1/embeddings",
      ]),
    ],
    rivals: ["models", "preset"],
  },
  uses: {
    chat: ["POST /chat/completions", "POST /v1/responses", "POST /v1/agent"],
    embeddings: ["POST /v1/embeddings"],
    files: [],
  },
};

// elevenlabs/elevenlabs-js: src/api/resources/*/client (JSON and forms), src/wrapper/realtime/scribe.ts and
// elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-stream-input (query). Without one its server chooses.
export const elevenlabs: Facts = {
  models: {
    places: [
      json(
        [
          "/v1/text-to-speech/*",
          "/v1/text-to-speech/*/stream",
          "/v1/text-to-speech/*/with-timestamps",
          "/v1/text-to-speech/*/stream/with-timestamps",
          "/v1/text-to-dialogue",
          "/v1/text-to-dialogue/stream",
          "/v1/text-to-dialogue/with-timestamps",
          "/v1/text-to-dialogue/stream/with-timestamps",
          "/v1/sound-generation",
          "/v1/music",
          "/v1/music/stream",
          "/v1/music/detailed",
          "/v1/music/plan",
          "/v1/text-to-voice/design",
        ],
        "model_id",
      ),
      form(
        ["/v1/speech-to-text", "/v1/speech-to-speech/*", "/v1/speech-to-speech/*/stream"],
        "model_id",
      ),
      query(
        "WEBSOCKET",
        [
          "/v1/text-to-speech/*/stream-input",
          "/v1/text-to-speech/*/multi-stream-input",
          "/v1/speech-to-text/realtime",
        ],
        "model_id",
      ),
    ],
    rivals: [],
  },
  uses: { chat: [], embeddings: [], files: ["/*/convai/knowledge-base/**", "/*/studio/**"] },
};

// deepgram/deepgram-js-sdk: src/api/resources/{listen,speak}. Without one its server chooses. An agent's WebSocket names its models
// in a message; /v1/read names none.
export const deepgram: Facts = {
  models: {
    places: [
      query("POST", ["/v1/listen", "/v1/speak", "/v2/speak"]),
      query("WEBSOCKET", ["/v1/listen", "/v2/listen", "/v1/speak", "/v2/speak"]),
    ],
    rivals: [],
  },
  uses: { chat: [], embeddings: [], files: [] },
};
