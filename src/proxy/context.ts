// The context of a call: on whose behalf the agent makes it, as it says in x3sproxy-context-* headers. Checks and bounds them. They never
// go upstream. A value that looks like a credential is refused, and must not reach the record.
import { mightBeBearer } from "../platform/ids.ts";
import { looksLikeKey } from "../providers/index.ts";
import { fieldName } from "./field-names.ts";

/** By name, lower-case, without the prefix. */
export type CallContextFields = Readonly<Record<string, string>>;

const MOST = 8;
const VALUE = /^[\x20-\x7e]{1,200}$/;
// Characters that separate a key from the text around it in a sentence, a header or a URL.
const AROUND_A_KEY = /[\s"'`()<>[\]{},.;:=&?/@|]+/;

/** Reads the context from raw header pairs; undefined when it is malformed. */
export function readContext(rawHeaders: readonly string[]): CallContextFields | undefined {
  const context: Record<string, string> = {};
  let count = 0;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const { contextName: name } = fieldName(rawHeaders[i] ?? "");
    if (name === undefined) continue;
    const value = rawHeaders[i + 1] ?? "";
    if (name === "" || ++count > MOST || Object.hasOwn(context, name)) return undefined;
    if (!VALUE.test(value) || holdsCredential(value) || looksLikeKey(name)) return undefined;
    context[name] = value;
  }
  return context;
}

/** Whether the text may hold a credential of ours or of a provider. */
export function holdsCredential(text: string): boolean {
  if (mightBeBearer(text)) return true;
  const parts = text.split(AROUND_A_KEY);
  // Some keys contain such characters themselves.
  return parts.some(looksLikeKey) || (parts.length > 1 && text.split(/\s+/).some(looksLikeKey));
}
