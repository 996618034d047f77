// Google's Gemini API: models, generateContent, streamGenerateContent?alt=sse, and errors.
// https://ai.google.dev/api/generate-content
import type { ServerResponse } from "node:http";
import { playEvents, playJson, sendJson, type Exchange } from "./exchange.ts";
import { makeId } from "./openai.ts";
import { writeScript, type Script } from "./script.ts";

export interface Part {
  text?: string;
  functionCall?: { id?: string; name: string; args: unknown };
  functionResponse?: { name: string; response: unknown };
}
export interface Content {
  role?: string;
  parts: Part[];
}

const STATUS_NAMES: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

/** Answers with an error in Google's shape (https://google.aip.dev/193). */
export function sendGeminiError(
  res: ServerResponse,
  status: number,
  message = `The look-alike answers ${status}.`,
  details: readonly unknown[] = [],
): void {
  const name = STATUS_NAMES[status] ?? "UNKNOWN";
  sendJson(res, status, geminiHeaders(), {
    error: { code: status, message, status: name, ...(details.length > 0 ? { details } : {}) },
  });
}

/** Gemini's answer to an unknown key is 400, to none at all 403. */
export function sendGeminiKeyError(res: ServerResponse, given: boolean): void {
  if (given) {
    sendGeminiError(res, 400, "API key not valid. Please pass a valid API key.", [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "API_KEY_INVALID",
        domain: "googleapis.com",
        metadata: { service: "generativelanguage.googleapis.com" },
      },
    ]);
  } else {
    sendGeminiError(
      res,
      403,
      "Method doesn't allow unregistered callers (callers without established identity). " +
        "Please use API Key or other form of API consumer identity to call this API.",
    );
  }
}

function geminiHeaders(): Record<string, string> {
  return { server: "scaffolding on HTTPServer2", "x-gemini-service-tier": "standard" };
}

/** GET …/models */
export function listGeminiModels({ res }: Exchange): void {
  sendJson(res, 200, geminiHeaders(), {
    models: [
      {
        name: "models/look-alike-large",
        version: "001",
        displayName: "Look-alike Large",
        inputTokenLimit: 1_000_000,
        outputTokenLimit: 65_536,
        supportedGenerationMethods: ["generateContent", "countTokens"],
      },
    ],
  });
}

/** POST …/models/{model}:generateContent and :streamGenerateContent */
export async function generateContent(exchange: Exchange): Promise<void> {
  const { res, path, query, body, provider, key } = exchange;
  const [, model = "", method] = /\/models\/([^/:]+):(\w+)$/.exec(path) ?? [];
  if (!Array.isArray(body["contents"])) {
    sendGeminiError(res, 400, "* GenerateContentRequest.contents: contents is not specified");
    return;
  }
  const script = writeScript({
    provider,
    key,
    ...readContents(body["contents"] as Content[]),
    tools: toolNames(body["tools"]),
  });
  if (script.status !== undefined) sendGeminiError(res, script.status);
  else if (method === "generateContent") {
    playJson(exchange, script, geminiHeaders(), answerOf(model, [partOf(script)], script, true));
  } else if (query.get("alt") !== "sse") {
    sendGeminiError(res, 400, "The look-alike streams with alt=sse only.");
  } else await streamContent(exchange, model, script);
}

/** What the last of the contents says. */
export function readContents(contents: Content[]): {
  userText: string;
  toolResult: string | undefined;
} {
  const parts = contents.at(-1)?.parts ?? [];
  const response = parts.find((part) => part.functionResponse !== undefined)?.functionResponse;
  return {
    userText: parts.findLast((part) => part.text !== undefined)?.text ?? "",
    toolResult: response === undefined ? undefined : JSON.stringify(response.response),
  };
}

/** The names of the functions that a request declares. */
export function toolNames(tools: unknown): string[] {
  const list = (tools ?? []) as { functionDeclarations?: { name: string }[] }[];
  return list.flatMap((tool) => tool.functionDeclarations ?? []).map(({ name }) => name);
}

function partOf({ tool, text }: Script): Part {
  if (tool === undefined) return { text };
  return { functionCall: { name: tool.name, args: JSON.parse(tool.arguments) as unknown } };
}

function answerOf(model: string, parts: Part[], script: Script, last: boolean): unknown {
  return {
    candidates: [
      { content: { parts, role: "model" }, ...(last ? { finishReason: "STOP" } : {}), index: 0 },
    ],
    usageMetadata: {
      promptTokenCount: 9,
      candidatesTokenCount: script.pieces.length,
      totalTokenCount: 9 + script.pieces.length,
    },
    modelVersion: model,
    responseId: makeId(""),
  };
}

/** A function call comes whole in one event, text in pieces; the last piece carries the finish reason. */
function streamContent(exchange: Exchange, model: string, script: Script): Promise<void> {
  const parts: Part[] =
    script.tool === undefined ? script.pieces.map((text) => ({ text })) : [partOf(script)];
  return playEvents(exchange, script, geminiHeaders(), {
    opening: [],
    pieces: parts.map((part, index) => {
      const answer = answerOf(model, [part], script, index === parts.length - 1);
      return `data: ${JSON.stringify(answer)}\r\n\r\n`;
    }),
    closing: [],
  });
}
