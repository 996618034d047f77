// OpenAI's API as its reference and SDK describe it: models, embeddings, Chat Completions, and errors.
// The many providers with an OpenAI-compatible API are served by it too, under whatever prefix they use.
// https://platform.openai.com/docs/api-reference
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type OpenAI from "openai";
import { playEvents, playJson, sendJson, type Exchange } from "./exchange.ts";
import { writeScript, type Script } from "./script.ts";

type Chunk = OpenAI.Chat.ChatCompletionChunk;
type Delta = Chunk["choices"][number]["delta"];
type FinishReason = Chunk["choices"][number]["finish_reason"];

/** A look-alike identifier: the prefix and 24 random characters. */
export function makeId(prefix: string): string {
  return prefix + randomBytes(12).toString("hex");
}

/** Headers of an answer by OpenAI. */
export function openaiHeaders(): Record<string, string> {
  return {
    "x-request-id": makeId("req_"),
    "openai-version": "2020-10-01",
    "openai-processing-ms": "12",
    "x-ratelimit-remaining-requests": "9999",
  };
}

const ERRORS: Readonly<Record<number, readonly [type: string, code: string, message: string]>> = {
  400: ["invalid_request_error", "invalid_value", "The look-alike was asked for a bad request."],
  401: ["invalid_request_error", "invalid_api_key", "Incorrect API key provided."],
  403: ["invalid_request_error", "unsupported_country", "The look-alike forbids this."],
  404: ["invalid_request_error", "not_found", "The look-alike does not know this path."],
  429: ["requests", "rate_limit_exceeded", "Rate limit reached for the look-alike model."],
  500: ["server_error", "server_error", "The look-alike had an error while answering."],
  529: ["server_error", "overloaded", "The look-alike is overloaded."],
};

/** Answers with an error in OpenAI's shape. 429 says when to come again. */
export function sendOpenAIError(res: ServerResponse, status: number, message?: string): void {
  const [type, code, usual] = ERRORS[status] ?? ["server_error", "server_error", "An error."];
  const headers = openaiHeaders();
  if (status === 429) headers["retry-after"] = "1";
  sendJson(res, status, headers, {
    error: { message: message ?? usual, type, param: null, code },
  });
}

/** GET …/models */
export function listModels({ res }: Exchange): void {
  const data: OpenAI.Models.Model[] = ["look-alike-large", "look-alike-small"].map((id) => ({
    id,
    object: "model",
    created: 1_750_000_000,
    owned_by: "look-alike",
  }));
  sendJson(res, 200, openaiHeaders(), { object: "list", data });
}

/** POST …/embeddings. Like the real one, base64 of little-endian floats when asked for it. */
export function embed({ res, body }: Exchange): void {
  const inputs = Array.isArray(body["input"]) ? (body["input"] as unknown[]) : [body["input"]];
  const vector = [0.25, -0.5, 0.125, 1];
  const base64 = Buffer.from(Float32Array.from(vector).buffer).toString("base64");
  sendJson(res, 200, openaiHeaders(), {
    object: "list",
    model: String(body["model"]),
    data: inputs.map((_, index) => ({
      object: "embedding",
      index,
      embedding: body["encoding_format"] === "base64" ? base64 : vector,
    })),
    usage: { prompt_tokens: 4, total_tokens: 4 },
  });
}

interface ChatMessage {
  role: string;
  content?: string | { type: string; text?: string }[] | null;
}
interface ChatTool {
  function?: { name: string };
}

/** POST …/chat/completions */
export async function completeChat(exchange: Exchange): Promise<void> {
  const { body, provider, key, res } = exchange;
  if (typeof body["model"] !== "string" || !Array.isArray(body["messages"])) {
    sendOpenAIError(res, 400, "you must provide a model parameter and messages");
    return;
  }
  const last = (body["messages"] as ChatMessage[]).at(-1);
  const script = writeScript({
    provider,
    key,
    userText: last?.role === "user" ? textOf(last.content) : "",
    toolResult: last?.role === "tool" ? textOf(last.content) : undefined,
    tools: ((body["tools"] ?? []) as ChatTool[]).flatMap((tool) => tool.function?.name ?? []),
  });
  if (script.status !== undefined) sendOpenAIError(res, script.status);
  else if (body["stream"] === true) await streamChat(exchange, body["model"], script);
  else playJson(exchange, script, openaiHeaders(), chatCompletion(body["model"], script));
}

function textOf(content: ChatMessage["content"]): string {
  if (typeof content === "string") return content;
  return content?.filter((part) => part.type === "text").at(-1)?.text ?? "";
}

function chatCompletion(model: string, { text, tool }: Script): OpenAI.Chat.ChatCompletion {
  const call: OpenAI.Chat.ChatCompletionMessageToolCall[] =
    tool === undefined ? [] : [{ id: makeId("call_"), type: "function", function: tool }];
  return {
    id: makeId("chatcmpl-"),
    object: "chat.completion",
    created: 1_750_000_000,
    model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: tool === undefined ? text : null,
          refusal: null,
          ...(tool === undefined ? {} : { tool_calls: call }),
        },
        logprobs: null,
        finish_reason: tool === undefined ? "stop" : "tool_calls",
      },
    ],
    usage: USAGE,
    service_tier: "default",
  };
}

const USAGE = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 };

function streamChat(exchange: Exchange, model: string, script: Script): Promise<void> {
  const { tool } = script;
  const id = makeId("chatcmpl-");
  const frame = (choices: Chunk["choices"], usage: Chunk["usage"] = null): string => {
    const chunk: Chunk = {
      id,
      object: "chat.completion.chunk",
      created: 1_750_000_000,
      model,
      choices,
      usage,
    };
    return `data: ${JSON.stringify(chunk)}\n\n`;
  };
  const choice = (delta: Delta, finish_reason: FinishReason = null) =>
    frame([{ index: 0, delta, logprobs: null, finish_reason }]);
  const options = exchange.body["stream_options"] as { include_usage?: boolean } | undefined;
  const first: Delta =
    tool === undefined
      ? { role: "assistant", content: "", refusal: null }
      : {
          role: "assistant",
          content: null,
          tool_calls: [
            {
              index: 0,
              id: makeId("call_"),
              type: "function",
              function: { name: tool.name, arguments: "" },
            },
          ],
        };
  return playEvents(exchange, script, openaiHeaders(), {
    opening: [choice(first)],
    pieces: script.pieces.map((piece) =>
      choice(
        tool === undefined
          ? { content: piece }
          : { tool_calls: [{ index: 0, function: { arguments: piece } }] },
      ),
    ),
    closing: [
      choice({}, tool === undefined ? "stop" : "tool_calls"),
      ...(options?.include_usage === true ? [frame([], USAGE)] : []),
      "data: [DONE]\n\n",
    ],
  });
}
