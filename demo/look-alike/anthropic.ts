// Anthropic's API: models, token counting, Messages as JSON and as events, and errors.
// https://docs.anthropic.com/en/api/messages-streaming
import type { ServerResponse } from "node:http";
import type Anthropic from "@anthropic-ai/sdk";
import { playEvents, playJson, sendJson, type Exchange } from "./exchange.ts";
import { makeId } from "./openai.ts";
import { writeScript, type Script } from "./script.ts";

type Block = Anthropic.TextBlock | Anthropic.ToolUseBlock;
type StreamEvent = Anthropic.RawMessageStreamEvent | { type: "ping" };

/** Headers of an answer by Anthropic. */
export function anthropicHeaders(): Record<string, string> {
  return {
    "request-id": makeId("req_01"),
    "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
    "anthropic-ratelimit-requests-remaining": "3999",
  };
}

const ERRORS: Readonly<Record<number, readonly [type: string, message: string]>> = {
  400: ["invalid_request_error", "The look-alike was asked for a bad request."],
  401: ["authentication_error", "invalid x-api-key"],
  403: ["permission_error", "The look-alike forbids this."],
  404: ["not_found_error", "The look-alike does not know this path."],
  429: ["rate_limit_error", "This request would exceed the look-alike's rate limit."],
  500: ["api_error", "The look-alike had an internal error."],
  529: ["overloaded_error", "The look-alike is overloaded."],
};

/** Answers with an error in Anthropic's shape. 429 says when to come again. */
export function sendAnthropicError(res: ServerResponse, status: number, message?: string): void {
  const [type, usual] = ERRORS[status] ?? ["api_error", "An error."];
  const headers = anthropicHeaders();
  if (status === 429) headers["retry-after"] = "1";
  sendJson(res, status, headers, {
    type: "error",
    error: { type, message: message ?? usual },
    request_id: headers["request-id"],
  });
}

/** GET …/models */
export function listAnthropicModels({ res }: Exchange): void {
  const model = {
    type: "model",
    id: "look-alike-large",
    display_name: "Look-alike Large",
    created_at: "2026-01-01T00:00:00Z",
  };
  sendJson(res, 200, anthropicHeaders(), {
    data: [model],
    has_more: false,
    first_id: model.id,
    last_id: model.id,
  });
}

/** POST …/messages/count_tokens */
export function countTokens({ res }: Exchange): void {
  const count: Anthropic.MessageTokensCount = { input_tokens: 14 };
  sendJson(res, 200, anthropicHeaders(), count);
}

interface MessageParam {
  role: string;
  content: string | { type: string; text?: string; content?: unknown }[];
}

/** POST …/messages */
export async function createMessage(exchange: Exchange): Promise<void> {
  const { req, res, body, provider, key } = exchange;
  const problem = requestProblem(req.headers["anthropic-version"], body);
  if (problem !== undefined) {
    sendAnthropicError(res, 400, problem);
    return;
  }
  const script = writeScript({
    provider,
    key,
    ...readMessages(body["messages"] as MessageParam[]),
    tools: ((body["tools"] ?? []) as { name: string }[]).map((tool) => tool.name),
  });
  if (script.status !== undefined) {
    sendAnthropicError(res, script.status);
    return;
  }
  const message = messageOf(String(body["model"]), script);
  if (body["stream"] === true) await streamMessage(exchange, message, script);
  else playJson(exchange, script, anthropicHeaders(), message);
}

function requestProblem(version: unknown, body: Record<string, unknown>): string | undefined {
  if (version === undefined) return "anthropic-version: header is required";
  return ["model", "max_tokens", "messages"]
    .filter((field) => body[field] === undefined)
    .map((field) => `${field}: Field required`)[0];
}

/** A client may end the list with messages of other roles: the last one of the user counts. */
function readMessages(messages: MessageParam[]): {
  userText: string;
  toolResult: string | undefined;
} {
  const content = messages.findLast((message) => message.role === "user")?.content ?? "";
  if (typeof content === "string") return { userText: content, toolResult: undefined };
  const result = content.find((block) => block.type === "tool_result");
  if (result !== undefined) {
    const { content: answer } = result;
    const toolResult = typeof answer === "string" ? answer : JSON.stringify(answer);
    return { userText: "", toolResult };
  }
  const text = content.findLast((block) => block.type === "text")?.text;
  return { userText: text ?? "", toolResult: undefined };
}

function messageOf(model: string, { tool, text, pieces }: Script): Anthropic.Message {
  const block: Block =
    tool === undefined
      ? { type: "text", text, citations: null }
      : {
          type: "tool_use",
          id: makeId("toolu_01"),
          name: tool.name,
          input: JSON.parse(tool.arguments) as unknown,
          caller: { type: "direct" },
        };
  return {
    id: makeId("msg_01"),
    type: "message",
    role: "assistant",
    model,
    content: [block],
    stop_reason: tool === undefined ? "end_turn" : "tool_use",
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: {
      input_tokens: 14,
      output_tokens: pieces.length,
      output_tokens_details: null,
      cache_creation: null,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      inference_geo: null,
      server_tool_use: null,
      service_tier: "standard",
      speed: null,
    },
  };
}

function streamMessage(
  exchange: Exchange,
  message: Anthropic.Message,
  script: Script,
): Promise<void> {
  const { tool, pieces } = script;
  const frame = (event: StreamEvent): string =>
    `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
  const { content, stop_reason, usage } = message;
  const empty: Block =
    content[0]?.type === "tool_use"
      ? { ...content[0], input: {} }
      : { type: "text", text: "", citations: null };
  const started: Anthropic.Message = {
    ...message,
    content: [],
    stop_reason: null,
    usage: { ...usage, output_tokens: 1 },
  };
  const delta = { stop_reason, stop_sequence: null, stop_details: null, container: null };
  return playEvents(exchange, script, anthropicHeaders(), {
    opening: [
      frame({ type: "message_start", message: started }),
      frame({ type: "content_block_start", index: 0, content_block: empty }),
      frame({ type: "ping" }),
    ],
    pieces: pieces.map((piece) =>
      frame({
        type: "content_block_delta",
        index: 0,
        delta:
          tool === undefined
            ? { type: "text_delta", text: piece }
            : { type: "input_json_delta", partial_json: piece },
      }),
    ),
    closing: [
      frame({ type: "content_block_stop", index: 0 }),
      frame({ type: "message_delta", delta, usage }),
      frame({ type: "message_stop" }),
    ],
  });
}
