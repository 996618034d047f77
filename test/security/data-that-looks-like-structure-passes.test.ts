// An agent with a list of models is not refused for what its requests hold as data, nor for how a JSON library escapes plain letters.
import assert from "node:assert/strict";
import { test } from "node:test";
import { actorIn } from "../support/actor.ts";
import { openTarget } from "../support/attack.ts";

/** A schema in which each name that means something elsewhere is a property. */
const schema = {
  type: "object",
  properties: Object.fromEntries(
    ["model", "models", "tools", "definition", "fallbacks", "plugins", "tool", "type"].map(
      (name) => [name, { type: "array", items: { type: "string" }, model: "evil" }],
    ),
  ),
};
/** The same as a value. */
const value = {
  model: "evil",
  models: ["evil"],
  tools: [{ type: "openrouter:fusion", name: "x", model: "evil" }],
  definition: { model: "evil", type: "openrouter:fusion" },
  fallbacks: [{ model: "evil" }],
};

const anthropicTurns = {
  max_tokens: 1,
  tools: [{ name: "Task", description: "x", input_schema: schema }],
  messages: [
    { role: "user", content: [{ type: "text", text: JSON.stringify(value) }] },
    {
      role: "assistant",
      content: [{ type: "tool_use", id: "toolu_1", name: "Task", input: value }],
    },
    {
      role: "user",
      content: [{ type: "tool_result", tool_use_id: "toolu_1", content: [value] }],
    },
  ],
  output_config: { format: { type: "json_schema", schema } },
  metadata: value,
};
const chat = {
  messages: [
    { role: "user", content: "x", ...value },
    { role: "tool", tool_call_id: "1", content: [value] },
  ],
  tools: [{ type: "function", function: { name: "ask", parameters: schema } }],
  response_format: { type: "json_schema", json_schema: { name: "x", schema } },
};
const gemini = {
  contents: [
    { role: "model", parts: [{ functionCall: { name: "ask", args: value } }] },
    { role: "user", parts: [{ functionResponse: { name: "ask", response: value } }] },
  ],
  tools: [{ functionDeclarations: [{ name: "ask", parameters: schema }] }],
  generationConfig: { responseSchema: schema },
};

const PASSING: readonly (readonly [path: string, body: string])[] = [
  ["/anthropic/v1/messages", JSON.stringify({ model: "good", ...anthropicTurns })],
  ["/openrouter/api/v1/messages", JSON.stringify({ model: "good", ...anthropicTurns })],
  ["/in-house/v1/messages", JSON.stringify({ model: "good", ...anthropicTurns })],
  ["/bedrock/model/good/invoke", JSON.stringify(anthropicTurns)],
  [
    "/bedrock/model/good/converse",
    JSON.stringify({
      messages: [{ role: "assistant", content: [{ toolUse: { name: "ask", input: value } }] }],
      toolConfig: { tools: [{ toolSpec: { name: "ask", inputSchema: { json: schema } } }] },
    }),
  ],
  ["/openai/v1/chat/completions", JSON.stringify({ model: "good", ...chat })],
  ["/openrouter/api/v1/chat/completions", JSON.stringify({ model: "good", ...chat })],
  ["/in-house/v1/chat/completions", JSON.stringify({ model: "good", ...chat })],
  [
    "/openai/v1/responses",
    JSON.stringify({
      model: "good",
      input: [
        { type: "function_call", call_id: "1", name: "ask", arguments: JSON.stringify(value) },
        { type: "function_call_output", call_id: "1", output: [value] },
      ],
      tools: [{ type: "function", name: "ask", parameters: schema, strict: true }],
      text: { format: { type: "json_schema", name: "x", schema } },
    }),
  ],
  [
    "/cohere/v1/chat",
    JSON.stringify({
      model: "good",
      message: "x",
      tools: [{ name: "ask", parameter_definitions: { model: { type: "str" } } }],
      tool_results: [{ call: { name: "ask", parameters: value }, outputs: [value] }],
    }),
  ],
  ["/gemini/v1beta/models/good:generateContent", JSON.stringify(gemini)],
  // As PHP's json_encode and the most careful of libraries write names.
  ["/openrouter/api/v1/chat/completions", String.raw`{"model":"anthropic\/good","messages":[]}`],
  ["/openai/v1/chat/completions", String.raw`{"model":"\u0067\u006F\u006f\u0064","messages":[]}`],
  [
    "/gemini/v1beta/models/good:countTokens",
    String.raw`{"generateContentRequest":{"model":"models\/good"}}`,
  ],
];

test("data with the names of members passes, and so does each way to escape a plain name", async (t) => {
  const target = await openTarget(t, {
    providers: ["anthropic", "openrouter", "bedrock", "openai", "cohere", "gemini"],
  });
  const { plane, upstream, ask } = target;
  const custom = { origin: upstream.origin, header: "authorization", scheme: "Bearer" };
  await plane.customProviders.put(actorIn(plane.workspaceId), { name: "in-house", ...custom });
  await plane.save("in-house");
  const token = await plane.deploy("listed", { models: ["good", "anthropic/good"] });
  for (const [path, body] of PASSING) {
    const head = [
      `POST ${path} HTTP/1.1`,
      `Authorization: Bearer ${token}`,
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(body)}`,
    ];
    const answer = await ask(head, body);
    assert.equal(answer.header("x3sproxy-refusal") ?? answer.status, 200, path + body);
    assert.ok(target.sent().includes(body), "it went up as it came");
  }
});
