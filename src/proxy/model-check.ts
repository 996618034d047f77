// Checks the model of a call by an agent with a list of models. A model in the path or query is judged at once; for one in the body it makes
// a reader. Refuses what it can't tell for certain.
import type { RefusalReason } from "../platform/errors.ts";
import { foldName, modelPlace, type FoundPlace } from "../providers/index.ts";
import { fieldName } from "./field-names.ts";
import { FormReader } from "./form-reader.ts";
import { JsonReader } from "./json-reader.ts";
import { MessageReader } from "./message-reader.ts";
import { createJudge, type BodyReader, type Sought } from "./model-judge.ts";

const NO_RIVALS: ReadonlySet<string> = new Set();
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "DELETE"]);

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json *(?:; *charset="?utf-8"?)?$/i;
const UNTYPED = /^(?:application\/octet-stream)?$/i;
// RFC 2046, 5.1.1, without the space.
const FORM_TYPE =
  /^multipart\/form-data *; *boundary=(?:"([\w'()+,./:=?-]{1,70})"|([\w'+.-]{1,70}))$/i;

/** The parts of a call that are checked: the request as it goes up. */
export interface CheckedCall {
  readonly provider: string;
  readonly method: string;
  readonly isWebSocket: boolean;
  /** Raw. */
  readonly path: string;
  readonly canonicalPath: string;
  readonly query: string | undefined;
  /** Raw pairs. */
  readonly headers: readonly string[];
  readonly hasBody: boolean;
  /** From the agent's scope. */
  readonly allows: (model: string) => boolean;
}

/**
 * Checks a call. Returns a reason to refuse it; or a reader for its body (for a WebSocket: for all that the client sends), the last part of
 * which must not go on before the reader has passed it; or undefined: it is allowed.
 */
export function checkModel(call: CheckedCall): RefusalReason | BodyReader | undefined {
  const { provider, isWebSocket, path, canonicalPath, headers, hasBody } = call;
  const method = isWebSocket ? "WEBSOCKET" : call.method;
  const place = modelPlace({ provider, method, path, canonicalPath });
  if (place === "unclear") return "model_unclear";
  if (place === undefined) {
    if (hasBody || !BODILESS.has(method)) return "model_unclear";
    // Lists may be filtered by model; and a custom provider may read the parameter anywhere.
    return judgeQuery(
      queryModel(call.query, "model", NO_RIVALS),
      createJudge(call.allows, undefined),
    );
  }
  if (place.at === "none") return undefined;
  const heads = headsOf(headers, place);
  if (heads === undefined) return "model_unclear";
  const judge = createJudge(call.allows, place.indirect);
  const inQuery = queryModel(call.query, place.name, place.rivals);
  if (place.at === "query") {
    const refusal = inQuery.length === 0 ? "model_unclear" : judgeQuery(inQuery, judge);
    if (refusal !== undefined || !place.hasMessages) return refusal;
    return new MessageReader({ ...place, judge });
  }
  if (inQuery.length > 0) return "model_unclear";
  if (place.inPath !== undefined) {
    const refusal = judge(place.inPath);
    if (refusal !== undefined || place.at === "path") return refusal;
  }
  if (!hasBody && !place.isRequired) return undefined;
  if (!hasBody || heads.isEncoded) return "model_unclear";
  return readerOf(place, heads.contentType, judge);
}

function readerOf(
  place: FoundPlace,
  contentType: string,
  judge: Sought["judge"],
): BodyReader | RefusalReason {
  const { body, isRequired, modelTools, bodyPrefix } = place;
  const sought: Sought = {
    body,
    isRequired,
    modelTools,
    judge: bodyPrefix === "" ? judge : (model) => judge(withoutPrefix(model, bodyPrefix)),
  };
  const isJson = JSON_TYPE.test(contentType);
  if (place.at !== "form" && (isJson || (place.takesUntyped && UNTYPED.test(contentType)))) {
    return new JsonReader(sought);
  }
  const [, quoted, bare] = FORM_TYPE.exec(contentType) ?? [];
  const boundary = quoted ?? bare;
  if (!place.at.includes("form") || boundary === undefined) return "model_unclear";
  return new FormReader(sought, boundary);
}

function withoutPrefix(model: string, prefix: string): string {
  return model.startsWith(prefix) ? model.slice(prefix.length) : model;
}

/** What the header section says about reading the body; undefined when it makes the model unclear. */
function headsOf(
  raw: readonly string[],
  place: FoundPlace,
): { contentType: string; isEncoded: boolean } | undefined {
  let contentType: string | undefined;
  let isEncoded = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const { comparable, lower } = fieldName(raw[i] ?? "");
    const value = raw[i + 1] ?? "";
    if (place.rivalHeaders.includes(comparable)) return undefined;
    if (comparable === "content-encoding") isEncoded ||= value.toLowerCase() !== "identity";
    if (comparable !== "content-type") continue;
    if (contentType !== undefined || lower !== comparable) return undefined;
    contentType = value;
  }
  // Without a type, servers guess: the same bytes can be JSON and a form.
  return { contentType: contentType ?? "", isEncoded };
}

function judgeQuery(values: readonly string[], judge: Sought["judge"]): RefusalReason | undefined {
  if (values.length > 1) return "model_unclear";
  return values[0] === undefined ? undefined : judge(values[0]);
}

/** The values of the query parameters that may be the model. More than one, or an empty one, means that the model is unclear. */
function queryModel(
  query: string | undefined,
  sought: string,
  rivals: ReadonlySet<string>,
): string[] {
  if (query === undefined) return [];
  const wanted = foldName(sought);
  const values: string[] = [];
  for (const parameter of query.split(/[&;]/)) {
    const equals = parameter.indexOf("=");
    const name = equals < 0 ? parameter : parameter.slice(0, equals);
    const value = equals < 0 ? "" : parameter.slice(equals + 1);
    const folded = foldName(decoded(name).replace(/\[.*/s, ""));
    if (folded === wanted || folded === "model") {
      const isPlain = name === sought && !query.includes(";") && !value.includes("+");
      values.push(isPlain ? decoded(value) : "");
    } else if (rivals.has(folded)) values.push("", "");
  }
  return values;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
