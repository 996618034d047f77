// The forms that most rows' model places have, so that a row reads as a list of paths.
import type { ModelPlace } from "./definition.ts";

const MODEL = "model";

/** Tools in a list of their own, as nearly all have them. */
const TOOLS = ["tools[]"];

/** Where Anthropic has tools defined: also by a block in a conversation, and by one that a compaction has left. */
export const MESSAGES_TOOLS = [
  ...TOOLS,
  "messages[].content[].tool.definition",
  "messages[].content[].tool_changes[].tool.definition",
];

/** Where OpenAI's Responses have them: also in items of the input that add or found some. */
export const RESPONSES_TOOLS = [...TOOLS, "input[].tools[]"];

/** Of OpenAI's image tool: the model that writes an SVG. */
const SVG_MODELS = ["tools[].svg.model", "input[].tools[].svg.model"];

/** A top-level member of a JSON body. */
export function json(paths: readonly string[], name = MODEL): ModelPlace {
  return { method: "POST", paths, at: "json", name, tools: TOOLS };
}

/** Chat as OpenAI has it: `moderation` has a model of its own. */
export function chat(paths: readonly string[]): ModelPlace {
  return { ...json(paths), rivals: ["moderation"] };
}

/** OpenAI's Responses: a stored `prompt` has settings of its own, too. */
export function responses(paths: readonly string[]): ModelPlace {
  return {
    ...json(paths),
    tools: RESPONSES_TOOLS,
    also: SVG_MODELS,
    rivals: ["moderation", "prompt"],
  };
}

/** Messages as Anthropic has them. `fallbacks` (beta) names models to go on with. */
export function messages(paths: readonly string[]): ModelPlace {
  return { ...json(paths), tools: MESSAGES_TOOLS, rivals: ["fallbacks"] };
}

/** A field of a multipart/form-data body. */
export function form(paths: readonly string[], name = MODEL): ModelPlace {
  return { method: "POST", paths, at: "form", name };
}

/** Either of the two, as the body is. */
export function jsonOrForm(paths: readonly string[], name = MODEL): ModelPlace {
  return { ...json(paths, name), at: "json form" };
}

/** OpenAI's images: `svg` has a model of its own. */
export function images(paths: readonly string[]): ModelPlace {
  return { ...json(paths), also: ["svg.model"] };
}

/** The same, in either form. */
export function imageEdits(paths: readonly string[]): ModelPlace {
  return { ...images(paths), at: "json form" };
}

/** A parameter of the query. */
export function query(
  method: ModelPlace["method"],
  paths: readonly string[],
  name = MODEL,
): ModelPlace {
  return { method, paths, at: "query", name };
}

/**
 * OpenAI's Realtime: the query names the model of the session, and its messages those that transcribe (openai: resources/realtime).
 * A stored `prompt` has settings of its own.
 */
export function realtime(paths: readonly string[], name = MODEL): ModelPlace {
  return {
    ...query("WEBSOCKET", paths, name),
    also: [
      "session.model",
      "session.audio.input.transcription.model",
      "session.input_audio_transcription.model",
      "response.model",
    ],
    tools: ["session.tools[]", "response.tools[]"],
    rivals: ["session.prompt", "response.prompt"],
  };
}

/** A part of the path. */
export function inPath(method: ModelPlace["method"], paths: readonly string[]): ModelPlace {
  return { method, paths, at: "path", name: MODEL };
}

/** A part of the path, beside a JSON body that may choose further ones. */
export function inPathAndJson(method: ModelPlace["method"], paths: readonly string[]): ModelPlace {
  return { method, paths, at: "path json", name: MODEL, tools: TOOLS };
}

/** Uses no model of its own choice. */
export function none(method: ModelPlace["method"], paths: readonly string[]): ModelPlace {
  return { method, paths, at: "none", name: MODEL };
}
