// OpenAI's Realtime API over WebSocket, text only: a session, conversation items, responses in pieces.
// https://platform.openai.com/docs/api-reference/realtime-server-events
import { setTimeout as sleep } from "node:timers/promises";
import type OpenAI from "openai";
import type { WebSocket } from "ws";
import { makeId } from "./openai.ts";
import { writeScript, type Script } from "./script.ts";

type ServerEvent = OpenAI.Realtime.RealtimeServerEvent;
type ClientEvent = OpenAI.Realtime.RealtimeClientEvent;
type Item = OpenAI.Realtime.ConversationItem;
type Session = OpenAI.Realtime.RealtimeSessionCreateRequest & { id: string; object: string };
type Unidentified<E> = E extends unknown ? Omit<E, "event_id"> : never;

/** Speaks the API on an open socket. Without an accepted key it says so and closes with 3000, as the real one does. */
export function serveRealtime(
  socket: WebSocket,
  key: { provider: string; value: string } | undefined,
  model: string,
): void {
  const send = (event: Unidentified<ServerEvent>): void => {
    if (socket.readyState === socket.OPEN) {
      socket.send(JSON.stringify({ event_id: makeId("event_"), ...event }));
    }
  };
  if (key === undefined) {
    sendError(send, "invalid_api_key", "Incorrect API key provided.");
    socket.close(3000, "invalid_request_error.invalid_api_key");
    return;
  }
  let session: Session = {
    type: "realtime",
    object: "realtime.session",
    id: makeId("sess_"),
    model,
    output_modalities: ["text"],
    instructions: "You are a look-alike.",
    tools: [],
    tool_choice: "auto",
    max_output_tokens: "inf",
    truncation: "auto",
  };
  let userText = "";
  let toolResult: string | undefined;
  send({ type: "session.created", session });

  socket.on("message", (data: Buffer) => {
    const event = parse(data);
    if (event?.type === "session.update") {
      session = { ...session, ...event.session, type: "realtime" };
      send({ type: "session.updated", session });
    } else if (event?.type === "conversation.item.create") {
      const item: Item = { ...event.item, id: makeId("item_") };
      userText = item.type === "message" && item.role === "user" ? textOf(item) : "";
      toolResult = item.type === "function_call_output" ? item.output : undefined;
      send({ type: "conversation.item.added", item, previous_item_id: null });
      send({ type: "conversation.item.done", item, previous_item_id: null });
    } else if (event?.type === "response.create") {
      const tools = (session.tools ?? []).flatMap((tool) =>
        "name" in tool ? (tool.name ?? []) : [],
      );
      const turn = { provider: key.provider, key: key.value, userText, toolResult, tools };
      void respond(socket, send, writeScript(turn));
    } else {
      sendError(send, "invalid_value", "The look-alike does not know this event.");
    }
  });
}

function parse(data: Buffer): ClientEvent | undefined {
  try {
    return JSON.parse(data.toString()) as ClientEvent;
  } catch {
    return undefined;
  }
}

function textOf(item: OpenAI.Realtime.RealtimeConversationItemUserMessage): string {
  return item.content.findLast((part) => part.type === "input_text")?.text ?? "";
}

type Send = (event: Unidentified<ServerEvent>) => void;

function sendError(send: Send, code: string, message: string): void {
  const error = { type: "invalid_request_error", code, message, param: null, event_id: null };
  send({ type: "error", error });
}

async function respond(socket: WebSocket, send: Send, script: Script): Promise<void> {
  const { tool, text, pieces } = script;
  const response_id = makeId("resp_");
  const at = { response_id, output_index: 0, content_index: 0, item_id: makeId("item_") };
  const item = (status: "in_progress" | "completed"): Item => {
    const common = { id: at.item_id, object: "realtime.item", status } as const;
    const done = status === "completed";
    if (tool !== undefined) {
      const call = { name: tool.name, arguments: done ? tool.arguments : "" };
      return { ...common, type: "function_call", call_id: `call_${at.item_id}`, ...call };
    }
    const content = done ? [{ type: "output_text" as const, text }] : [];
    return { ...common, type: "message", role: "assistant", content };
  };
  const response = (status: "in_progress" | "completed"): OpenAI.Realtime.RealtimeResponse => ({
    object: "realtime.response",
    id: response_id,
    status,
    output: status === "completed" ? [item("completed")] : [],
    output_modalities: ["text"],
    ...(status === "completed"
      ? {
          usage: { input_tokens: 9, output_tokens: pieces.length, total_tokens: 9 + pieces.length },
        }
      : {}),
  });

  send({ type: "response.created", response: response("in_progress") });
  send({
    type: "response.output_item.added",
    response_id,
    output_index: 0,
    item: item("in_progress"),
  });
  if (tool === undefined) {
    send({ type: "response.content_part.added", ...at, part: { type: "text", text: "" } });
  }
  for (const [index, delta] of pieces.entries()) {
    if (index > 0 && script.intervalMs > 0) await sleep(script.intervalMs);
    if (socket.readyState !== socket.OPEN) return;
    if (tool === undefined) send({ type: "response.output_text.delta", ...at, delta });
    else {
      const call_id = `call_${at.item_id}`;
      send({ type: "response.function_call_arguments.delta", ...at, call_id, delta });
    }
    if (script.ending === "hang") return;
    if (script.ending === "break") {
      socket.terminate();
      return;
    }
  }
  if (tool === undefined) {
    send({ type: "response.output_text.done", ...at, text });
    send({ type: "response.content_part.done", ...at, part: { type: "text", text } });
  } else {
    const call = { call_id: `call_${at.item_id}`, name: tool.name, arguments: tool.arguments };
    send({ type: "response.function_call_arguments.done", ...at, ...call });
  }
  send({
    type: "response.output_item.done",
    response_id,
    output_index: 0,
    item: item("completed"),
  });
  send({ type: "response.done", response: response("completed") });
}
