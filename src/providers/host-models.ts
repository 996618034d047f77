// Where the calls of model hosts name their model, and their paths by use. Each with its source; what that does not show of
// a form shared with OpenAI or Anthropic is taken from theirs. What isn't there is refused to an agent with a list of models.
import type { ModelFacts, ProviderUses } from "./definition.ts";
import {
  chat,
  form,
  inPath,
  json,
  jsonOrForm,
  none,
  query,
  responses,
} from "./model-place-forms.ts";

interface Facts {
  readonly models: ModelFacts;
  readonly uses: ProviderUses;
}

// OpenRouterTeam/typescript-sdk: src/funcs, models/chatrequest.ts, responsesrequest.ts, messagesrequest.ts; openrouter.ai/docs,
// .../guides/routing and .../features/presets. `models`, `route` and `fallbacks` name others to go on with, `preset` (or @preset/ in a
// name) a stored choice, a plugin may route or ask others.
export const openrouter: Facts = {
  models: {
    places: [
      json([
        "/api/v1/chat/completions",
        "/api/v1/completions",
        "/api/v1/messages",
        "/api/v1/embeddings",
        "/api/v1/rerank",
        "/api/v1/images",
      ]),
      responses(["/api/v1/responses"]),
    ],
    rivals: ["models", "route", "fallbacks", "preset", "plugins"],
    indirect: /@preset\//i,
  },
  uses: {
    chat: ["POST /api/v1/chat/completions", "POST /api/v1/responses", "POST /api/v1/messages"],
    embeddings: ["POST /api/v1/embeddings"],
    files: ["/api/*/files/**"],
  },
};

// groq/groq-typescript: src/resources. `compound_custom` names the models that a compound model asks.
export const groq: Facts = {
  models: {
    places: [
      json(["/openai/v1/chat/completions", "/openai/v1/embeddings", "/openai/v1/audio/speech"]),
      responses(["/openai/v1/responses"]),
      form(["/openai/v1/audio/transcriptions", "/openai/v1/audio/translations"]),
    ],
    rivals: ["compound_custom"],
  },
  uses: {
    chat: ["POST /openai/v1/chat/completions", "POST /openai/v1/responses"],
    embeddings: ["POST /openai/v1/embeddings"],
    files: ["/openai/*/files/**"],
  },
};

// togethercomputer/together-typescript: src/resources. Evaluations, fine-tunes and queues name models within.
export const together: Facts = {
  models: {
    places: [
      json([
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/images/generations",
        "/v1/rerank",
        "/v1/audio/speech",
        "/v2/videos",
      ]),
      form(["/v1/audio/transcriptions", "/v1/audio/translations"]),
    ],
    rivals: [],
  },
  uses: {
    chat: ["POST /v1/chat/completions"],
    embeddings: ["POST /v1/embeddings"],
    files: ["/*/files/**"],
  },
};

// docs.fireworks.ai/api-reference: the inference API has OpenAI's and Anthropic's forms.
export const fireworks: Facts = {
  models: {
    places: [
      json([
        "/inference/v1/chat/completions",
        "/inference/v1/completions",
        "/inference/v1/messages",
        "/inference/v1/embeddings",
        "/inference/v1/rerank",
      ]),
      responses(["/inference/v1/responses"]),
    ],
    rivals: ["fallbacks"],
  },
  uses: {
    chat: [
      "POST /inference/v1/chat/completions",
      "POST /inference/v1/responses",
      "POST /inference/v1/messages",
    ],
    embeddings: ["POST /inference/v1/embeddings"],
    files: ["/*/accounts/*/datasets/**"],
  },
};

// huggingface.co/docs/inference-providers: /v1/… names the model in the body, hf-inference in the path. The other providers' own
// paths, below their names, have names of their own for models.
export const huggingface: Facts = {
  models: {
    places: [
      chat(["/v1/chat/completions"]),
      responses(["/v1/responses"]),
      inPath("*", [
        "/hf-inference/models/{model...}/pipeline/*",
        "/hf-inference/models/{model...}",
      ]),
    ],
    rivals: [],
  },
  uses: {
    chat: ["POST /v1/chat/completions", "POST /v1/responses"],
    embeddings: ["POST /hf-inference/models/**/pipeline/feature-extraction"],
    files: [],
  },
};

// learn.microsoft.com/azure/ai-foundry/openai/reference: a deployment in the path, or as `model` in the v1 API; what a deployment is
// for is set in Azure. .../how-to/responses: the image tool's deployment stands in a header. /models is the model inference API,
// /anthropic Anthropic's. .../how-to/realtime-audio: `deployment` in the query, `model` in v1.
export const azureOpenai: Facts = {
  models: {
    places: [
      inPath("*", ["/openai/deployments/{model}/**"]),
      chat(["/openai/v1/chat/completions", "/models/chat/completions"]),
      responses(["/openai/responses", "/openai/v1/responses"]),
      json([
        "/openai/v1/completions",
        "/openai/v1/embeddings",
        "/openai/v1/images/generations",
        "/openai/v1/audio/speech",
        "/models/embeddings",
        "/anthropic/v1/messages",
        "/anthropic/v1/messages/count_tokens",
      ]),
      form(["/openai/v1/audio/transcriptions", "/openai/v1/audio/translations"]),
      jsonOrForm(["/openai/v1/images/edits"]),
      query("WEBSOCKET", ["/openai/realtime"], "deployment"),
      query("WEBSOCKET", ["/openai/v1/realtime"]),
    ],
    rivals: ["fallbacks", "call_id"],
    rivalHeaders: ["x-ms-oai-image-generation-deployment"],
  },
  uses: {
    chat: [
      "POST /openai/deployments/*/chat/completions",
      "POST /openai/v1/chat/completions",
      "POST /openai/v1/responses",
      "POST /openai/responses",
      "POST /models/chat/completions",
      "POST /anthropic/v1/messages",
    ],
    embeddings: [
      "POST /openai/deployments/*/embeddings",
      "POST /openai/v1/embeddings",
      "POST /models/embeddings",
    ],
    files: [
      "/openai/files/**",
      "/openai/*/files/**",
      "/openai/uploads/**",
      "/openai/*/uploads/**",
      "/openai/*/containers/**",
      "/openai/vector_stores/**",
      "/openai/*/vector_stores/**",
    ],
  },
};

// docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html (the model's id or ARN in the path;
// StartAsyncInvoke's `modelId`), .../userguide/inference-chat-completions.html and .../bedrock-mantle.html for OpenAI's and Anthropic's
// forms. AWS takes another key for the same only in a signed request, which can't come through here.
export const bedrock: Facts = {
  models: {
    places: [
      inPath("POST", [
        "/model/{model}/invoke",
        "/model/{model}/invoke-with-response-stream",
        "/model/{model}/converse",
        "/model/{model}/converse-stream",
        "/model/{model}/count-tokens",
      ]),
      json(["/async-invoke"], "modelId"),
      chat(["/v1/chat/completions", "/openai/v1/chat/completions"]),
      responses(["/v1/responses", "/openai/v1/responses"]),
      json(["/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"]),
    ],
    rivals: ["fallbacks"],
  },
  uses: {
    chat: [
      "POST /model/**/converse",
      "POST /model/**/converse-stream",
      "POST /v1/chat/completions",
      "POST /v1/responses",
      "POST /openai/v1/chat/completions",
      "POST /openai/v1/responses",
      "POST /anthropic/v1/messages",
    ],
    embeddings: [],
    files: ["/*/files/**"],
  },
};

// fal.ai/docs/documentation/model-apis/inference: the whole path is the model's id, whatever the method.
export const fal: Facts = {
  models: { places: [inPath("*", ["/{model...}"])], rivals: [] },
  uses: { chat: [], embeddings: [], files: [] },
};

// .../inference/queue: the same, and the requests that wait or are done under the first two segments of it.
export const falQueue: Facts = {
  models: {
    places: [
      none("GET", ["/*/*/requests/**"]),
      none("PUT", ["/*/*/requests/*/cancel"]),
      inPath("*", ["/{model...}"]),
    ],
    rivals: [],
  },
  uses: { chat: [], embeddings: [], files: [] },
};
