// OpenAI's Responses API: one JSON document, or its sequence of typed events.
// https://platform.openai.com/docs/api-reference/responses-streaming
import type OpenAI from "openai";
import { playEvents, playJson, type Exchange } from "./exchange.ts";
import { makeId, openaiHeaders, sendOpenAIError } from "./openai.ts";
import { writeScript, type Script } from "./script.ts";

type Response = OpenAI.Responses.Response;
type OutputItem = OpenAI.Responses.ResponseOutputItem;
type StreamEvent = OpenAI.Responses.ResponseStreamEvent;
type Unnumbered<E> = E extends unknown ? Omit<E, "sequence_number"> : never;

interface InputItem {
  type?: string;
  role?: string;
  content?: string | { type: string; text?: string }[];
  output?: unknown;
}

/** POST …/responses */
export async function respond(exchange: Exchange): Promise<void> {
  const { body, provider, key, res } = exchange;
  if (typeof body["model"] !== "string") {
    sendOpenAIError(res, 400, "Missing required parameter: 'model'.");
    return;
  }
  const tools = (body["tools"] ?? []) as { name?: string }[];
  const script = writeScript({
    provider,
    key,
    ...readInput(body["input"]),
    tools: tools.flatMap((tool) => tool.name ?? []),
  });
  if (script.status !== undefined) {
    sendOpenAIError(res, script.status);
    return;
  }
  const item = outputItem(script);
  const response = responseOf(body["model"], item, script);
  if (body["stream"] === true) await streamResponse(exchange, script, response, item);
  else playJson(exchange, script, openaiHeaders(), response);
}

function readInput(input: unknown): { userText: string; toolResult: string | undefined } {
  if (typeof input === "string") return { userText: input, toolResult: undefined };
  const last = (input as InputItem[] | undefined)?.at(-1);
  if (last?.type === "function_call_output" || last?.type === "custom_tool_call_output") {
    const output = typeof last.output === "string" ? last.output : JSON.stringify(last.output);
    return { userText: "", toolResult: output };
  }
  const content = last?.role === "user" ? last.content : undefined;
  const userText = typeof content === "string" ? content : (content?.at(-1)?.text ?? "");
  return { userText, toolResult: undefined };
}

function outputItem({ tool, text }: Script): OutputItem {
  if (tool !== undefined) {
    return {
      id: makeId("fc_"),
      type: "function_call",
      status: "completed",
      call_id: makeId("call_"),
      name: tool.name,
      arguments: tool.arguments,
    };
  }
  return {
    id: makeId("msg_"),
    type: "message",
    status: "completed",
    role: "assistant",
    content: [{ type: "output_text", text, annotations: [], logprobs: [] }],
  };
}

/** `output_text` is the SDK's own addition: it is not on the wire. */
function responseOf(
  model: string,
  item: OutputItem,
  script: Script,
): Omit<Response, "output_text"> {
  return {
    id: makeId("resp_"),
    object: "response",
    created_at: 1_750_000_000,
    status: "completed",
    access_programs: null,
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    model,
    output: [item],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    service_tier: "default",
    temperature: 1,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    tools: [],
    top_p: 1,
    truncation: "disabled",
    usage: {
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: script.pieces.length,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 9 + script.pieces.length,
    },
    metadata: {},
  };
}

function streamResponse(
  exchange: Exchange,
  script: Script,
  complete: Omit<Response, "output_text">,
  item: OutputItem,
): Promise<void> {
  let sequence = 0;
  const frame = (event: Unnumbered<StreamEvent>): string => {
    const numbered = { ...event, sequence_number: sequence++ };
    return `event: ${event.type}\ndata: ${JSON.stringify(numbered)}\n\n`;
  };
  // Only the SDK reads `output_text`, and it makes it by itself.
  const whole = complete as Response;
  const started: Response = { ...whole, status: "in_progress", output: [] };
  delete started.usage;
  const opening = [
    frame({ type: "response.created", response: started }),
    frame({ type: "response.in_progress", response: started }),
  ];
  const output =
    item.type === "function_call" ? callEvents(item, script) : textEvents(item, script);
  return playEvents(exchange, script, openaiHeaders(), {
    opening: [...opening, ...output.opening.map(frame)],
    pieces: output.pieces.map(frame),
    closing: [
      ...output.closing.map(frame),
      frame({ type: "response.output_item.done", output_index: 0, item }),
      frame({ type: "response.completed", response: whole }),
    ],
  });
}

interface OutputEvents {
  opening: Unnumbered<StreamEvent>[];
  pieces: Unnumbered<StreamEvent>[];
  closing: Unnumbered<StreamEvent>[];
}

function textEvents(item: OutputItem, { text, pieces }: Script): OutputEvents {
  const at = { item_id: "id" in item ? (item.id ?? "") : "", output_index: 0, content_index: 0 };
  const part = (partText: string): OpenAI.Responses.ResponseOutputText => ({
    type: "output_text",
    text: partText,
    annotations: [],
    logprobs: [],
  });
  const empty = { ...item, status: "in_progress", content: [] } as OutputItem;
  return {
    opening: [
      { type: "response.output_item.added", output_index: 0, item: empty },
      { type: "response.content_part.added", ...at, part: part("") },
    ],
    pieces: pieces.map((delta) => ({
      type: "response.output_text.delta",
      ...at,
      delta,
      logprobs: [],
    })),
    closing: [
      { type: "response.output_text.done", ...at, text, logprobs: [] },
      { type: "response.content_part.done", ...at, part: part(text) },
    ],
  };
}

function callEvents(
  item: OpenAI.Responses.ResponseFunctionToolCall,
  { pieces }: Script,
): OutputEvents {
  const at = { item_id: item.id ?? "", output_index: 0 };
  const empty: OutputItem = { ...item, status: "in_progress", arguments: "" };
  return {
    opening: [{ type: "response.output_item.added", output_index: 0, item: empty }],
    pieces: pieces.map((delta) => ({
      type: "response.function_call_arguments.delta",
      ...at,
      delta,
    })),
    closing: [{ type: "response.function_call_arguments.done", ...at, arguments: item.arguments }],
  };
}
