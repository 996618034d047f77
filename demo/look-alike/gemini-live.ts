// Google's Live API (BidiGenerateContent) over WebSocket, text only. Like the real one it sends JSON in binary frames.
// https://ai.google.dev/api/live
import { setTimeout as sleep } from "node:timers/promises";
import type { WebSocket } from "ws";
import { readContents, toolNames, type Content } from "./gemini.ts";
import { makeId } from "./openai.ts";
import { writeScript, type Script } from "./script.ts";

interface ClientMessage {
  setup?: { model: string; tools?: unknown };
  clientContent?: { turns?: Content[]; turnComplete?: boolean };
  realtimeInput?: { text?: string };
  toolResponse?: { functionResponses?: { response: unknown }[] };
}

/** Speaks the API on an open socket. Without an accepted key it closes with 1007, as the real one does. */
export function serveLive(
  socket: WebSocket,
  key: { provider: string; value: string } | undefined,
): void {
  if (key === undefined) {
    socket.close(1007, "API key not valid. Please pass a valid API key.");
    return;
  }
  const send = (message: unknown): void => {
    if (socket.readyState === socket.OPEN) socket.send(Buffer.from(JSON.stringify(message)));
  };
  let tools: string[] | undefined;
  const answer = (userText: string, toolResult: string | undefined): void => {
    const turn = { provider: key.provider, key: key.value, userText, toolResult };
    void play(socket, send, writeScript({ ...turn, tools: tools ?? [] }));
  };

  socket.on("message", (data: Buffer) => {
    const message = parse(data);
    const { setup, clientContent, realtimeInput, toolResponse } = message;
    if (setup !== undefined && tools === undefined) {
      tools = toolNames(setup.tools);
      send({ setupComplete: {} });
    } else if (tools === undefined) {
      socket.close(1007, "setup must be the first message and only the first message");
    } else if (clientContent?.turnComplete === true) {
      const { userText, toolResult } = readContents(clientContent.turns ?? []);
      answer(userText, toolResult);
    } else if (realtimeInput?.text !== undefined) {
      answer(realtimeInput.text, undefined);
    } else if (toolResponse !== undefined) {
      answer("", JSON.stringify(toolResponse.functionResponses?.[0]?.response));
    }
  });
}

function parse(data: Buffer): ClientMessage {
  try {
    return JSON.parse(data.toString()) as ClientMessage;
  } catch {
    return {};
  }
}

async function play(
  socket: WebSocket,
  send: (message: unknown) => void,
  script: Script,
): Promise<void> {
  const { tool, pieces } = script;
  if (tool !== undefined) {
    const args = JSON.parse(tool.arguments) as unknown;
    send({
      toolCall: { functionCalls: [{ id: makeId("function-call-"), name: tool.name, args }] },
    });
    return;
  }
  for (const [index, text] of pieces.entries()) {
    if (index > 0 && script.intervalMs > 0) await sleep(script.intervalMs);
    if (socket.readyState !== socket.OPEN) return;
    send({ serverContent: { modelTurn: { role: "model", parts: [{ text }] } } });
    if (script.ending === "hang") return;
    if (script.ending === "break") {
      socket.terminate();
      return;
    }
  }
  send({ serverContent: { generationComplete: true } });
  send({
    serverContent: { turnComplete: true },
    usageMetadata: {
      promptTokenCount: 9,
      responseTokenCount: pieces.length,
      totalTokenCount: 9 + pieces.length,
    },
  });
}
