// The forms that most rows' model places have, so that a row reads as a list of paths.
import type { ModelPlace } from "./definition.ts";

const MODEL = "model";

/** A top-level member of a JSON body. */
export function json(paths: readonly string[], name = MODEL): ModelPlace {
  return { method: "POST", paths, at: "json", name };
}

/** Chat as OpenAI has it: `moderation` has a model of its own. */
export function chat(paths: readonly string[]): ModelPlace {
  return { ...json(paths), rivals: ["moderation"] };
}

/** OpenAI's Responses: a stored `prompt` has settings of its own, too. */
export function responses(paths: readonly string[]): ModelPlace {
  return { ...json(paths), rivals: ["moderation", "prompt"] };
}

/** A field of a multipart/form-data body. */
export function form(paths: readonly string[], name = MODEL): ModelPlace {
  return { method: "POST", paths, at: "form", name };
}

/** Either of the two, as the body is. */
export function jsonOrForm(paths: readonly string[], name = MODEL): ModelPlace {
  return { method: "POST", paths, at: "json form", name };
}

/** A parameter of the query. */
export function query(
  method: ModelPlace["method"],
  paths: readonly string[],
  name = MODEL,
): ModelPlace {
  return { method, paths, at: "query", name };
}

/** A part of the path. */
export function inPath(method: ModelPlace["method"], paths: readonly string[]): ModelPlace {
  return { method, paths, at: "path", name: MODEL };
}

/** Uses no model of its own choice. */
export function none(method: ModelPlace["method"], paths: readonly string[]): ModelPlace {
  return { method, paths, at: "none", name: MODEL };
}
