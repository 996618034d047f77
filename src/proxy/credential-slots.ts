// Every place where a client may carry a credential: find the one proxy token in them, strip them all.
// A credential that is not ours is refused in any slot: an agent that brings its own key could carry data out with it.
import type { RefusalReason } from "../errors.ts";
import { isProxyToken, PROXY_TOKEN_PREFIX } from "../ids.ts";

/** Headers that are a credential whatever they hold; lower-case. `authorization` comes with a scheme. */
const SLOT_HEADERS: ReadonlySet<string> = new Set([
  "authorization",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
  "xi-api-key",
]);

/** Headers that can carry a credential past us and that no provider's API wants from an agent: dropped unread. */
const DROPPED_HEADERS: ReadonlySet<string> = new Set([
  "cookie",
  "cookie2",
  "proxy-authorization",
  "x-amz-security-token",
]);

/** Query parameters that are a credential; compared decoded and in lower case. */
const SLOT_PARAMETERS: ReadonlySet<string> = new Set([
  "key",
  "api_key",
  "api-key",
  "apikey",
  "x-goog-api-key",
  "xi-api-key",
  "access_token",
]);

const SCHEMES: ReadonlySet<string> = new Set(["bearer", "token", "key"]);
const OPENAI_SUBPROTOCOL = "openai-insecure-api-key.";
/** Subprotocols whose next list element is the credential (Deepgram's `token, <key>` and its OAuth form). */
const PAIRED_SUBPROTOCOLS: ReadonlySet<string> = new Set(["token", "bearer"]);

/** Whether a header, by its lower-case name or by what it holds, is a slot and must not go upstream. */
export function isCredentialHeader(name: string, value: string): boolean {
  return SLOT_HEADERS.has(name) || DROPPED_HEADERS.has(name) || value.includes(PROXY_TOKEN_PREFIX);
}

/** The one proxy token of a request, or why there is none. Reads raw header pairs, since a repeated header is two slots. */
export function findToken(
  rawHeaders: readonly string[],
  query: string | undefined,
): { token: string } | RefusalReason {
  const finder = new TokenFinder();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    const value = rawHeaders[i + 1] ?? "";
    if (name === "sec-websocket-protocol") {
      for (const element of readSubprotocols(value)) {
        if (element.credential !== undefined) finder.offer(element.credential);
      }
    } else if (SLOT_HEADERS.has(name)) {
      finder.offer(name === "authorization" ? withoutScheme(value) : value);
    } else if (!DROPPED_HEADERS.has(name) && value.includes(PROXY_TOKEN_PREFIX)) {
      // The header of a custom provider: ours by what it holds.
      finder.offer(withoutScheme(value));
    }
  }
  if (query !== undefined) {
    for (const parameter of query.split("&")) {
      const { name, value } = readParameter(parameter);
      if (SLOT_PARAMETERS.has(name) || value.includes(PROXY_TOKEN_PREFIX)) finder.offer(value);
    }
  }
  return finder.result();
}

/** The query without the parameters that are slots; the others stay byte for byte. Undefined when nothing is left. */
export function stripQuery(query: string | undefined): string | undefined {
  if (query === undefined) return undefined;
  const kept = query.split("&").filter((parameter) => {
    const { name, value } = readParameter(parameter);
    return !SLOT_PARAMETERS.has(name) && !value.includes(PROXY_TOKEN_PREFIX);
  });
  return kept.length === 0 ? undefined : kept.join("&");
}

/** The subprotocols that may go upstream, and the scheme name that stood before a stripped credential, if any. */
export function stripSubprotocols(value: string): { kept: string[]; scheme: string | undefined } {
  const kept: string[] = [];
  let scheme: string | undefined;
  for (const element of readSubprotocols(value)) {
    if (element.credential === undefined) kept.push(element.name);
    else scheme ??= element.name;
  }
  return { kept, scheme };
}

class TokenFinder {
  #token: string | undefined;
  #refusal: RefusalReason | undefined;

  offer(credential: string): void {
    const text = credential.trim();
    if (text === "") return;
    if (!text.startsWith(PROXY_TOKEN_PREFIX)) this.#refusal = "foreign_credential";
    else if (!isProxyToken(text)) this.#refusal ??= "malformed_token";
    else if (this.#token !== undefined && this.#token !== text)
      this.#refusal ??= "conflicting_tokens";
    else this.#token = text;
  }

  result(): { token: string } | RefusalReason {
    if (this.#refusal !== undefined) return this.#refusal;
    return this.#token === undefined ? "missing_token" : { token: this.#token };
  }
}

/** The credential of an Authorization value (RFC 9110, 11.6.2); for Basic, the password or else the user name. */
function withoutScheme(value: string): string {
  const text = value.trim();
  const space = text.search(/[ \t]/);
  if (space < 0) return SCHEMES.has(text.toLowerCase()) ? "" : text;
  const scheme = text.slice(0, space).toLowerCase();
  const credential = text.slice(space + 1).trim();
  if (SCHEMES.has(scheme)) return credential;
  if (scheme === "basic") {
    const [user = "", ...password] = Buffer.from(credential, "base64")
      .toString("latin1")
      .split(":");
    return password.join(":") || user;
  }
  return text;
}

function readParameter(parameter: string): { name: string; value: string } {
  const equals = parameter.indexOf("=");
  return {
    name: decoded(equals < 0 ? parameter : parameter.slice(0, equals)).toLowerCase(),
    value: equals < 0 ? "" : decoded(parameter.slice(equals + 1)),
  };
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
  readonly name: string;
  readonly credential: string | undefined;
}

function readSubprotocols(value: string): Subprotocol[] {
  const elements = value
    .split(",")
    .map((element) => element.trim())
    .filter((element) => element !== "");
  const protocols: Subprotocol[] = [];
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i] ?? "";
    const next = elements[i + 1];
    if (element.startsWith(OPENAI_SUBPROTOCOL)) {
      const credential = element.slice(OPENAI_SUBPROTOCOL.length);
      protocols.push({ name: OPENAI_SUBPROTOCOL, credential });
    } else if (PAIRED_SUBPROTOCOLS.has(element.toLowerCase()) && next !== undefined) {
      protocols.push({ name: element, credential: next });
      i++;
    } else if (element.includes(PROXY_TOKEN_PREFIX)) {
      protocols.push({ name: element, credential: element });
    } else {
      protocols.push({ name: element, credential: undefined });
    }
  }
  return protocols;
}
