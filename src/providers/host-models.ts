// Where the calls of model hosts name their model, and their paths by use. Each with its source; what that does not show of
// a form shared with OpenAI or Anthropic is taken from theirs. What isn't there is refused to an agent with a list of models.
import type { ModelFacts, ProviderUses } from "./definition.ts";
import {
  chat,
  form,
  imageEdits,
  images,
  inPath,
  inPathAndJson,
  json,
  MESSAGES_TOOLS,
  messages,
  none,
  realtime,
  responses,
  RESPONSES_TOOLS,
} from "./model-place-forms.ts";

interface Facts {
  readonly models: ModelFacts;
  readonly uses: ProviderUses;
}

/** All that OpenRouter's servers run, but for those known to run no model; OpenAI's image tool has a model of OpenRouter's choice there. */
export const OPENROUTER_MODEL_TOOLS =
  /^(?:image_generation$|openrouter:(?!(?:apply_patch|bash|datetime|files|shell|tool_search|web_fetch|web_search)$))/i;

// OpenRouterTeam/typescript-sdk: src/funcs, models/chatrequest.ts, responsesrequest.ts, messagesrequest.ts; openrouter.ai/docs,
// .../guides/routing and .../features/presets. `models`, `route` and `fallbacks` name others to go on with, `preset` (or @preset/ in a
// name) a stored choice, a plugin may route or ask others, and so do tools that its servers run (models/*servertool*.ts), with panels
// and models of their own if the request names none.
export const openrouter: Facts = {
  models: {
    places: [
      json([
        "/api/v1/chat/completions",
        "/api/v1/completions",
        "/api/v1/embeddings",
        "/api/v1/rerank",
        "/api/v1/images",
      ]),
      messages(["/api/v1/messages"]),
      responses(["/api/v1/responses"]),
    ],
    rivals: ["models", "route", "fallbacks", "preset", "plugins"],
    indirect: /@preset\//i,
    modelTools: OPENROUTER_MODEL_TOOLS,
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

// togethercomputer/together-typescript: src/resources (`safety_model` judges what is said). Evaluations, fine-tunes and queues name
// models within.
export const together: Facts = {
  models: {
    places: [
      { ...json(["/v1/chat/completions", "/v1/completions"]), also: ["safety_model"] },
      json([
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

// docs.fireworks.ai/api-reference: the inference API has OpenAI's and Anthropic's forms. A draft model guesses ahead of the other.
export const fireworks: Facts = {
  models: {
    places: [
      {
        ...json(["/inference/v1/chat/completions", "/inference/v1/completions"]),
        also: ["draft_model"],
      },
      json(["/inference/v1/embeddings", "/inference/v1/rerank"]),
      messages(["/inference/v1/messages"]),
      responses(["/inference/v1/responses"]),
    ],
    rivals: [],
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

/** Azure's "On your data", in the spelling of today and in that of its first versions. */
export const DATA_SOURCES = {
  also: [
    "data_sources[].parameters.embedding_dependency.deployment_name",
    "data_sources[].parameters.embedding_dependency.model_id",
    "dataSources[].parameters.embeddingDeploymentName",
  ],
  rivals: [
    "data_sources[].parameters.embedding_dependency.endpoint",
    "dataSources[].parameters.embeddingEndpoint",
    "dataSources[].parameters.deploymentName",
  ],
};

// learn.microsoft.com/azure/ai-foundry/openai/reference: a deployment in the path, or as `model` in the v1 API; what a deployment is
// for is set in Azure. .../references/on-your-data: data sources have a deployment for embeddings, or an endpoint that may be one.
// .../how-to/responses: the image tool's deployment stands in a header, an agent has a model of its own. /models is the model inference
// API, /anthropic Anthropic's. .../how-to/realtime-audio: `deployment` in the query, `model` in v1. At a deployment's path, `model` in a
// body chooses nothing, and forms have no member that does.
export const azureOpenai: Facts = {
  models: {
    places: [
      inPath("POST", [
        "/openai/deployments/{model}/audio/transcriptions",
        "/openai/deployments/{model}/audio/translations",
        "/openai/deployments/{model}/images/edits",
      ]),
      {
        ...inPathAndJson("POST", ["/openai/deployments/{model}/**"]),
        ...DATA_SOURCES,
        tools: RESPONSES_TOOLS,
      },
      // What else there is manages deployments, as an old version of the API could.
      { ...inPathAndJson("*", ["/openai/deployments/{model}/**"]), rivals: ["model"] },
      {
        ...chat(["/openai/v1/chat/completions", "/models/chat/completions"]),
        also: DATA_SOURCES.also,
        rivals: [...DATA_SOURCES.rivals, "moderation"],
      },
      responses(["/openai/responses", "/openai/v1/responses"]),
      json([
        "/openai/v1/completions",
        "/openai/v1/embeddings",
        "/openai/v1/audio/speech",
        "/models/embeddings",
      ]),
      messages(["/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"]),
      form(["/openai/v1/audio/transcriptions", "/openai/v1/audio/translations"]),
      images(["/openai/v1/images/generations"]),
      imageEdits(["/openai/v1/images/edits"]),
      realtime(["/openai/realtime"], "deployment"),
      realtime(["/openai/v1/realtime"]),
    ],
    rivals: ["call_id", "agent", "agent_reference"],
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
// forms. InvokeModel's body has the form of the model's maker, and is JSON where its Content-Type says nothing; Converse passes
// `additionalModelRequestFields` on to that. AWS takes another key for the same only in a signed request, which can't come through here.
export const bedrock: Facts = {
  models: {
    places: [
      {
        ...inPathAndJson("POST", [
          "/model/{model}/invoke",
          "/model/{model}/invoke-with-response-stream",
          "/model/{model}/converse",
          "/model/{model}/converse-stream",
          "/model/{model}/count-tokens",
        ]),
        tools: [...MESSAGES_TOOLS, "additionalModelRequestFields.tools[]"],
        rivals: ["fallbacks", "additionalModelRequestFields.fallbacks"],
        takesUntyped: true,
      },
      json(["/async-invoke"], "modelId"),
      chat(["/v1/chat/completions", "/openai/v1/chat/completions"]),
      responses(["/v1/responses", "/openai/v1/responses"]),
      messages(["/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"]),
    ],
    rivals: [],
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

/**
 * A router behind one path takes the name of any model in its body (fal.ai/models/openrouter/router), and so do pipelines for what others
 * have trained (`model_name`).
 */
const FAL_ROUTERS = {
  also: ["model", "model_name"],
  rivals: ["models", "fallbacks", "plugins"],
};

// fal.ai/docs/documentation/model-apis/inference: the whole path is the model's id, whatever the method.
export const fal: Facts = {
  models: {
    places: [{ ...inPathAndJson("*", ["/{model...}"]), ...FAL_ROUTERS }],
    rivals: [],
    modelTools: OPENROUTER_MODEL_TOOLS,
  },
  uses: { chat: [], embeddings: [], files: [] },
};

// .../inference/queue: the same, and the requests that wait or are done under the first two segments of it.
export const falQueue: Facts = {
  models: {
    places: [
      none("GET", ["/*/*/requests/**"]),
      none("PUT", ["/*/*/requests/*/cancel"]),
      ...fal.models.places,
    ],
    rivals: [],
    modelTools: OPENROUTER_MODEL_TOOLS,
  },
  uses: { chat: [], embeddings: [], files: [] },
};
