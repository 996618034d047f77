// Each documented member by which a request chooses a model beside the one that it names, in a request whose own model is allowed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { actorIn } from "../support/actor.ts";
import { openTarget } from "../support/attack.ts";

interface Case {
  readonly path: string;
  /** Its one model is `good`. */
  readonly body: object;
  /** Each makes it a call of `evil`. */
  readonly members: readonly object[];
  /** The same with an allowed model. */
  readonly allowed?: readonly object[];
  readonly fields?: readonly string[];
}

const chat = { model: "good", messages: [{ role: "user", content: "x" }] };
const input = { model: "good", input: "x" };
const contents = { contents: [{ parts: [{ text: "x" }] }] };
const advisor = (model: string): object => ({ type: "advisor_20260301", name: "advisor", model });
const image = (model: string): object => ({ type: "image_generation", model });
const defining = (model: string): object => ({
  messages: [
    {
      role: "user",
      content: [
        {
          type: "tool_addition",
          tool: { type: "tool_definition", definition: advisor(model) },
        },
      ],
    },
  ],
});
const compacted = (model: string): object => ({
  messages: [
    {
      content: [
        {
          type: "compaction",
          tool_changes: [{ tool: { type: "tool_definition", definition: advisor(model) } }],
        },
      ],
    },
  ],
});
const onYourData = (dependency: object): object => ({
  data_sources: [{ type: "azure_search", parameters: { embedding_dependency: dependency } }],
});
const deployed = (name: string): object =>
  onYourData({ type: "deployment_name", deployment_name: name });

const CASES: readonly Case[] = [
  {
    path: "/anthropic/v1/messages",
    body: { ...chat, max_tokens: 1 },
    members: [
      { fallbacks: [{ model: "evil" }] },
      { fallbacks: "default" },
      { tools: [advisor("evil")] },
      defining("evil"),
      compacted("evil"),
    ],
    allowed: [{ tools: [advisor("good")] }, defining("good"), compacted("good")],
  },
  {
    path: "/openai/v1/responses",
    body: input,
    members: [
      { tools: [image("evil")] },
      { tools: [{ type: "image_generation", output_format: "svg", svg: { model: "evil" } }] },
      { input: [{ type: "additional_tools", role: "developer", tools: [image("evil")] }] },
      { input: [{ type: "tool_search_output", tools: [image("evil")] }] },
      { moderation: { model: "evil" } },
      { prompt: { id: "pmpt_1" } },
    ],
    allowed: [{ tools: [image("good")] }, { input: [{ tools: [image("good")] }] }],
  },
  {
    path: "/openai/v1/images/edits",
    body: { model: "good", prompt: "x" },
    members: [{ svg: { model: "evil" } }],
    allowed: [{ svg: { model: "good" } }],
  },
  {
    path: "/openai/v1/images/generations",
    body: { model: "good", prompt: "x" },
    members: [{ svg: { model: "evil" } }],
  },
  {
    path: "/gemini/v1beta/models/good:countTokens",
    body: {},
    members: [
      { generateContentRequest: { ...contents, model: "models/evil" } },
      { generate_content_request: { ...contents, model: "models/evil" } },
      { model: "models/evil" },
    ],
    allowed: [{ generateContentRequest: { ...contents, model: "models/good" } }],
  },
  {
    path: "/gemini/v1beta/models/good:batchEmbedContents",
    body: {},
    members: [{ requests: [{ model: "models/good" }, { model: "models/evil" }] }],
    allowed: [{ requests: [{ model: "models/good" }, { model: "models/good" }] }],
  },
  {
    path: "/gemini/v1beta/models/good:generateContent",
    body: contents,
    members: [{ generationConfig: { routingConfig: { manualMode: { modelName: "evil" } } } }],
  },
  {
    path: "/mistral/v1/chat/completions",
    body: chat,
    members: [
      { guardrails: [{ moderation_llm_v2: { model_name: "evil" } }] },
      { guardrails: [{ moderation_llm_v1: { model_name: "evil" } }] },
      { agent_id: "evil" },
    ],
    allowed: [{ guardrails: [{ moderation_llm_v2: { model_name: "good" } }] }],
  },
  {
    path: "/openrouter/api/v1/chat/completions",
    body: chat,
    members: [
      { tools: [{ type: "openrouter:fusion", parameters: { analysis_models: ["evil"] } }] },
      { tools: [{ type: "openrouter:fusion" }] },
      { tools: [{ type: "OpenRouter:Fusion" }] },
      { tools: [{ type: "openrouter\u003aadvisor" }] },
      { tools: [{ type: "openrouter:subagent", parameters: { model: "good" } }] },
      { tools: [{ type: "openrouter:image_generation" }] },
      { tools: [{ type: "openrouter:of-tomorrow" }] },
      { tools: [{ type: "image_generation" }] },
      { plugins: [{ id: "fusion" }] },
      { models: ["evil"] },
      { route: "fallback" },
      { preset: "mine" },
    ],
    allowed: [
      { tools: [{ type: "openrouter:web_search" }, { type: "openrouter:datetime" }] },
      { tools: [{ type: "function", function: { name: "openrouter:fusion" } }] },
      { messages: [{ role: "assistant", content: "x", model: "evil" }] },
    ],
  },
  {
    path: "/openrouter/api/v1/messages",
    body: chat,
    members: [
      { tools: [advisor("evil")] },
      {
        messages: [
          {
            content: [
              { tool: { type: "tool_definition", definition: { type: "openrouter:fusion" } } },
            ],
          },
        ],
      },
    ],
  },
  {
    path: "/openrouter/api/v1/responses",
    body: input,
    members: [{ input: [{ type: "additional_tools", tools: [{ type: "openrouter:fusion" }] }] }],
  },
  {
    path: "/together/v1/chat/completions",
    body: chat,
    members: [{ safety_model: "evil" }],
    allowed: [{ safety_model: "good" }],
  },
  {
    path: "/fireworks/inference/v1/chat/completions",
    body: chat,
    members: [{ draft_model: "evil" }],
  },
  {
    path: "/groq/openai/v1/chat/completions",
    body: chat,
    members: [{ compound_custom: { models: { answering_model: "evil" } } }],
  },
  {
    path: "/azure-openai/openai/deployments/good/chat/completions?api-version=1",
    body: chat,
    members: [
      deployed("evil"),
      onYourData({ type: "endpoint", endpoint: "https://x/openai/deployments/evil/embeddings" }),
      onYourData({ type: "model_id", model_id: "evil" }),
      { dataSources: [{ parameters: { embeddingDeploymentName: "evil" } }] },
      { tools: [image("evil")] },
    ],
    allowed: [deployed("good"), { model: "a name that chooses nothing here" }],
  },
  {
    path: "/azure-openai/openai/v1/chat/completions",
    body: chat,
    members: [deployed("evil"), { agent_reference: { name: "evil" } }],
    allowed: [deployed("good")],
  },
  {
    path: "/bedrock/model/good/invoke",
    body: { max_tokens: 1, messages: [] },
    members: [{ tools: [advisor("evil")] }, { fallbacks: [{ model: "evil" }] }, defining("evil")],
    allowed: [{ tools: [advisor("good")] }, { model: "a name that chooses nothing here" }],
  },
  {
    path: "/bedrock/model/good/converse",
    body: { messages: [] },
    members: [
      { additionalModelRequestFields: { tools: [advisor("evil")] } },
      { additionalModelRequestFields: { fallbacks: [{ model: "evil" }] } },
    ],
  },
  {
    path: "/fal/good",
    body: { prompt: "x" },
    members: [{ model: "evil" }, { model_name: "evil" }, { models: ["evil"] }],
    allowed: [{ model: "good" }],
  },
  {
    path: "/fal-queue/good",
    body: { prompt: "x" },
    members: [{ model: "evil" }],
  },
  {
    path: "/in-house/v1/chat/completions",
    body: chat,
    members: [
      { fallbacks: ["evil"] },
      { mock_testing_fallbacks: true, fallbacks: [{ model: "evil" }] },
      { mock_testing_fallbacks: true },
      { context_window_fallbacks: [{ good: ["evil"] }] },
      { models: ["good", "evil"] },
      { model_id: "evil" },
      { extra_body: { model: "evil" } },
      { router_settings_override: { fallbacks: [{ good: ["evil"] }] } },
      { prompt: { id: "pmpt_1" } },
      { tools: [{ type: "x:ask", parameters: { model: "evil" } }] },
      { tools: [{ type: "openrouter:fusion" }] },
      { safety_model: "evil" },
      { guardrails: [{ anything: { model_name: "evil" } }] },
    ],
    allowed: [{ prompt: "a text" }, { safety_model: "good" }],
  },
  ...[
    "/in-house/openai/deployments/evil/chat/completions",
    "/in-house/engines/evil/completions",
    "/in-house/v1beta/models/evil:generateContent",
    "/in-house/model/evil/invoke",
    "/in-house/Deployments/evil/chat/completions",
    "/in-house/v1/deployments/good/models/evil/chat/completions",
    "/in-house/ai/run/evil",
    "/in-house/serving-endpoints/evil/invocations",
    "/in-house/v1/chat/completions?deployment=evil",
    "/deepgram/v1/listen?model=good&tier=evil",
    "/deepgram/v1/listen?model=good&Tier=evil",
  ].map((path) => ({ path, body: {}, members: [chat] })),
  ...["x-ai-eg-model: evil", "x-portkey-config: pc-1", "Helicone-Fallbacks: []"].map((field) => ({
    path: "/in-house/v1/chat/completions",
    body: chat,
    members: [{}],
    fields: [field],
  })),
  ...[
    "/in-house/openai/deployments/good/chat/completions",
    "/in-house/v1beta/models/good:generateContent",
    "/in-house/models/chat/completions",
    "/in-house/v1/models",
  ].map((path) => ({ path, body: chat, members: [], allowed: [{}] })),
];

test("a second model is refused wherever a request names one, and an allowed one is not", async (t) => {
  const providers = CASES.map(({ path }) => path.split("/")[1] ?? "");
  const target = await openTarget(t, {
    providers: [...new Set(providers)].filter((name) => name !== "in-house"),
  });
  const { plane, upstream, ask } = target;
  const custom = { origin: upstream.origin, header: "authorization", scheme: "Bearer" };
  await plane.customProviders.put(actorIn(plane.workspaceId), { name: "in-house", ...custom });
  await plane.save("in-house");
  const token = await plane.deploy("listed", { models: ["good"] });
  const outcome = async ({ path, fields = [] }: Case, body: object): Promise<string | number> => {
    const text = JSON.stringify(body);
    const head = [
      `POST ${path} HTTP/1.1`,
      `Authorization: Bearer ${token}`,
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(text)}`,
      ...fields,
    ];
    const answer = await ask(head, text);
    return answer.header("x3sproxy-refusal") ?? answer.status;
  };
  for (const one of CASES) {
    const { path, body, members, allowed = [] } = one;
    for (const member of members) {
      const what = `${path} ${JSON.stringify(member)}`;
      assert.match(String(await outcome(one, { ...body, ...member })), /^model_/, what);
    }
    assert.equal(target.sent(), "", path);
    for (const member of allowed) {
      assert.equal(await outcome(one, { ...body, ...member }), 200, path + JSON.stringify(member));
      target.sent();
    }
  }
});
