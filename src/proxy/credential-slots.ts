// Credential slots: every place where a client may carry a credential. Finds the one proxy token in them, and strips them all. Another
// credential is refused in any slot, since an agent with its own key could carry data out.
import type { RefusalReason } from "../platform/errors.ts";
import { holdsAgentToken, isProxyToken, PROXY_TOKEN_PREFIX } from "../platform/ids.ts";
import { fieldName, type FieldName } from "./field-names.ts";

/** Query parameters that are a credential: decoded, lower-case, letters and digits only, so that `$Key` and `key[]` are `key`. */
const SLOT_PARAMETERS: ReadonlySet<string> = new Set([
  "key",
  "apikey",
  "xapikey",
  "xgoogapikey",
  "xiapikey",
  "token",
  "accesstoken",
  "oauthtoken",
  "bearertoken", // Google, as the one before
  "apitoken",
  "authtoken",
  "idtoken",
  "clientsecret",
  "authorization",
  "singleusetoken", // ElevenLabs, as the next one
  "conversationsignature",
  "faljwttoken",
  "subscriptionkey", // Azure, as the next one
  "ocpapimsubscriptionkey",
  "xamzcredential", // a presigned URL of AWS
  "xamzsignature",
  "xamzsecuritytoken",
  "xamzs3sessiontoken",
  "awsaccesskeyid", // the same, older
  "xgoogcredential", // a signed URL of Google
  "xgoogsignature",
  "googleaccessid",
]);

/**
 * Query parameters by which a server takes another method, other headers or another body than the request has, in the same spelling.
 * cloud.google.com/apis/docs/system-parameters has the first two; frameworks take the others.
 */
const OVERRIDES: ReadonlySet<string> = new Set([
  "httpmethod",
  "httpheaders",
  "httpmethodoverride",
  "methodoverride",
  "xhttpmethod",
  "xhttpmethodoverride",
  "xmethodoverride",
  "xoriginalmethod",
  "xoriginalurl",
  "xrewriteurl",
]);
/** Those that are one only with what stands before: Google's content type and body, and `_method` (PHP writes a dot as `_`). */
const MARKED_OVERRIDE = /^(?: *\$(?:ct|req)|[^a-z0-9]+method)[^a-z0-9]*$/;

// Captured, so that splitting keeps it. Some servers still take a semicolon for an ampersand.
const SEPARATOR = /([&;])/;

const SCHEME_ALONE = /^(?:bearer|token|key|basic)$/i;
/** Subprotocols that end in a credential: OpenAI, xAI, and Mistral, where it stands alone. */
const CREDENTIAL_SUBPROTOCOL = /^(?:openai-insecure-api-key\.|xai-client-secret\.|(?=rt_))(.*)$/i;
/** Subprotocols whose next list element is the credential (Deepgram's `token, <key>` and its OAuth form). */
const SUBPROTOCOL_BEFORE_CREDENTIAL = /^(?:token|bearer)$/i;

/** Whether a header is a slot, by its name or by what it holds, and must not go upstream. */
export function isCredential(field: FieldName, value: string): boolean {
  return field.isSlot || field.isUnread || holdsAgentToken(value);
}

/** Whether any field of this name holds something other than a proxy token. */
export function carriesForeign(rawHeaders: readonly string[], name: string): boolean {
  const { comparable } = fieldName(name);
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const value = rawHeaders[i + 1] ?? "";
    if (fieldName(rawHeaders[i] ?? "").comparable !== comparable) continue;
    if (!value.includes(PROXY_TOKEN_PREFIX) && withoutScheme(value) !== "") return true;
  }
  return false;
}

/**
 * The one proxy token of a request, or why there is none; with it, whether there are context headers, which are no slots. Reads raw
 * header pairs, since a repeated header is two slots.
 */
export function findToken(
  rawHeaders: readonly string[],
  query: string | undefined,
): Found | RefusalReason {
  const finder = new TokenFinder();
  let hasContext = false;
  let hasIds = false;
  const subprotocols: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const field = fieldName(rawHeaders[i] ?? "");
    const value = rawHeaders[i + 1] ?? "";
    hasIds ||= field.isIdentifying;
    if (field.comparable === "sec-websocket-protocol") {
      subprotocols.push(value);
    } else if (field.contextName !== undefined) {
      hasContext = true;
    } else if (
      field.isSlot ||
      // The header of a custom provider, perhaps: ours by what it holds.
      (holdsAgentToken(value) && !field.isUnread)
    ) {
      finder.offer(withoutScheme(value));
    }
  }
  if (subprotocols.length > 0) {
    for (const { credential } of readSubprotocols(subprotocols)) finder.offer(credential ?? "");
  }
  if (query !== undefined) {
    for (const parameter of query.split(/[&;]/)) {
      const name = nameOf(parameter);
      const letters = lettersOf(name);
      // Refused rather than left out: without it, the call would be another one than its client means.
      if (OVERRIDES.has(letters) || MARKED_OVERRIDE.test(name)) return "bad_query";
      const credential = credentialOf(parameter, letters);
      if (credential !== undefined) finder.offer(credential);
    }
  }
  return finder.result(hasContext, hasIds);
}

/** The query without the parameters that are slots; the others stay byte for byte. Undefined when nothing is left. */
export function stripQuery(query: string | undefined): string | undefined {
  let kept: string | undefined;
  let separator = "";
  for (const part of query?.split(SEPARATOR) ?? []) {
    if (part === "&" || part === ";") separator = part;
    else if (credentialOf(part, lettersOf(nameOf(part))) === undefined) {
      kept = kept === undefined ? part : kept + separator + part;
    }
  }
  return kept;
}

/**
 * Of the values of all Sec-WebSocket-Protocol fields: what may go upstream, and the name that stood before a stripped
 * credential, if one did.
 */
export function stripSubprotocols(values: readonly string[]): {
  kept: string[];
  scheme: string | undefined;
} {
  const kept: string[] = [];
  let scheme: string | undefined;
  if (values.length === 0) return { kept, scheme };
  for (const { name, credential } of readSubprotocols(values)) {
    if (credential !== undefined) scheme ??= name;
    else if (name !== undefined) kept.push(name);
  }
  return { kept, scheme };
}

interface Found {
  readonly token: string;
  readonly hasContext: boolean;
  /** Whether there are headers that name the request. */
  readonly hasIds: boolean;
}

class TokenFinder {
  #token: string | undefined;
  #refusal: RefusalReason | undefined;

  offer(credential: string): void {
    const text = credential.trim();
    if (text === "") return;
    if (!text.includes(PROXY_TOKEN_PREFIX)) this.#refusal = "foreign_credential";
    else if (!isProxyToken(text)) this.#refusal ??= "malformed_token";
    else if (this.#token !== undefined && this.#token !== text)
      this.#refusal ??= "conflicting_tokens";
    else this.#token = text;
  }

  result(hasContext: boolean, hasIds: boolean): Found | RefusalReason {
    if (this.#refusal !== undefined) return this.#refusal;
    return this.#token === undefined ? "missing_token" : { token: this.#token, hasContext, hasIds };
  }
}

/** The credential behind a scheme, whatever its name (RFC 9110, 11.4); for Basic, the password or else the user name. */
function withoutScheme(value: string): string {
  const text = value.trim();
  const space = text.search(/[ \t]/);
  if (space < 0) return SCHEME_ALONE.test(text) ? "" : text;
  const credential = text.slice(space + 1).trim();
  if (text.slice(0, space).toLowerCase() !== "basic") return credential;
  const [user = "", ...password] = Buffer.from(credential, "base64").toString("latin1").split(":");
  return password.join(":") || user;
}

/** What a query parameter carries when it is a slot, by the letters of its name or by what it holds. */
function credentialOf(parameter: string, letters: string): string | undefined {
  const text = decoded(parameter);
  const equals = parameter.indexOf("=");
  const value = equals < 0 ? "" : decoded(parameter.slice(equals + 1));
  if (holdsAgentToken(value)) return value;
  if (holdsAgentToken(text)) return text;
  return SLOT_PARAMETERS.has(letters) ? value : undefined;
}

/** A parameter's name in lower case, decoded twice, as behind two servers that each decode; of `key[0]` or `key%3D`, `key`. */
function nameOf(parameter: string): string {
  const equals = parameter.indexOf("=");
  const raw = equals < 0 ? parameter : parameter.slice(0, equals);
  const name = decoded(decoded(raw)).toLowerCase();
  const end = /.[[=]/s.exec(name)?.index;
  return end === undefined ? name : name.slice(0, end + 1);
}

function lettersOf(name: string): string {
  return name.replace(/[^a-z0-9]/g, "");
}

function decoded(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  // Not decodeURIComponent, which throws: a malformed escape elsewhere must not hide a slot.
  return text
    .replaceAll("+", " ")
    .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
}

interface Subprotocol {
  /** Undefined for a credential that stands alone. */
  readonly name: string | undefined;
  readonly credential: string | undefined;
}

/** Reads the values of all fields as the one list that they are (RFC 9110, 5.2). */
function readSubprotocols(values: readonly string[]): Subprotocol[] {
  const elements = values
    .flatMap((value) => value.split(","))
    .map((element) => element.trim())
    .filter((element) => element !== "");
  const protocols: Subprotocol[] = [];
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i] ?? "";
    const next = elements[i + 1];
    const own = CREDENTIAL_SUBPROTOCOL.exec(element)?.[1];
    if (own !== undefined) {
      protocols.push({ name: undefined, credential: own });
    } else if (SUBPROTOCOL_BEFORE_CREDENTIAL.test(element) && next !== undefined) {
      protocols.push({ name: element, credential: next });
      i++;
    } else {
      const ours = holdsAgentToken(element);
      protocols.push(
        ours ? { name: undefined, credential: element } : { name: element, credential: undefined },
      );
    }
  }
  return protocols;
}
