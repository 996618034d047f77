// What there is to know of a provider: the shape of one row of the table.

/** The error body that a provider's own SDK understands. */
export type ErrorShape =
  | "openai"
  | "openrouter"
  | "anthropic"
  | "google"
  | "azure"
  | "aws"
  | "cohere"
  | "mistral"
  | "huggingface"
  | "elevenlabs"
  | "deepgram"
  | "fal";

/** How a provider takes its key: a header's lower-case name, and the scheme before the key (empty: the bare key). */
export interface CredentialScheme {
  readonly header: string;
  readonly scheme: string;
}

/** Endpoints that mint or list credentials. Refused unless an agent is allowed them by `<provider>:<name>`. */
export interface SensitiveEndpoint {
  /** Stable and documented: agents are allowed it by this name. */
  readonly name: string;
  /** Method, or "*". */
  readonly method: string;
  /** Lower-case paths. `*` is any characters within a segment, a final `/**` any number of segments, also none. */
  readonly paths: readonly string[];
}

/** Where calls say which model they are for. Each list of models in an agent's scope is compared there, and nowhere else. */
export interface ModelPlace {
  /** "*" is every one. A WebSocket handshake is no GET here. */
  readonly method: "GET" | "POST" | "PUT" | "WEBSOCKET" | "*";
  /**
   * The provider's own paths, in any case. `*` is any characters within a segment, a final `/**` any number of segments, also none.
   * Where the model stands in the path, `{model}` is a segment or a part of it, `{model...}` several; what stands before `model`
   * within the braces is a part of its name.
   */
  readonly paths: readonly string[];
  /**
   * `path json`: in the path, and `also`, `tools` and rivals in a JSON body. `none`: the call uses no model of its own choice, as one
   * that fetches what an earlier call has made.
   */
  readonly at: "json" | "form" | "json form" | "query" | "path" | "path json" | "none";
  /** Of the top-level member, the form's field or the query's parameter. */
  readonly name: string;
  /**
   * Where else a JSON body, or each message of a WebSocket, names models, as paths of members (model-members.ts). Each has to be
   * allowed.
   */
  readonly also?: readonly string[];
  /** Paths of the tools that it defines. The `model` of one has to be allowed, too. */
  readonly tools?: readonly string[];
  /** What stands before a model's name in the body, though not in the path. */
  readonly bodyPrefix?: string;
  /** Whether the server takes a body for JSON that has no Content-Type, or that of mere bytes. */
  readonly takesUntyped?: boolean;
  /** As those of the row, for these calls alone. */
  readonly rivals?: readonly string[];
}

export interface ModelFacts {
  /** The first that fits counts. A call with a body and without a place is unclear. */
  readonly places: readonly ModelPlace[];
  /** Paths of members that choose a model in another way, top-level ones also as fields and parameters: with one a call is unclear. */
  readonly rivals: readonly string[];
  /** Lower-case headers of the same effect. */
  readonly rivalHeaders?: readonly string[];
  /** What a name looks like that stands for a choice made elsewhere. */
  readonly indirect?: RegExp;
  /** Types of tools that run models which the request need not name. */
  readonly modelTools?: RegExp;
}

/** The paths of common uses, as rules have them: method and path, or the path alone. Templates of scopes are made of them. */
export interface ProviderUses {
  readonly chat: readonly string[];
  readonly embeddings: readonly string[];
  /** Paths of files and of what holds them. */
  readonly files: readonly string[];
}

/** A free GET that an upstream answers only to a good key: it proves that a key works. */
export interface ProviderProbe {
  /** Path and query. */
  readonly path: string;
  /** Raw pairs that the upstream asks for beside the key. */
  readonly headers: readonly string[];
  /** The statuses by which it says that the key is not good. */
  readonly refusedWith: readonly number[];
}

/** How an SDK or a tool is pointed at the proxy: for `agent env`, the docs and `exec`. */
export interface ClientSettings {
  /** Variable for the base URL, if the official client reads one. */
  readonly baseUrlVariable: string | undefined;
  readonly keyVariable: string;
  /** What the official client expects after the provider's prefix, as in `/v1`; or empty. */
  readonly basePath: string;
  /** Whether the official client sends its key over https alone. */
  readonly httpsOnly?: boolean;
}

export interface ProviderDefinition {
  readonly name: string;
  readonly title: string;
  /** Scheme, host and port; undefined: every secret names its own, which must match `originPattern`. */
  readonly origin: string | undefined;
  readonly originPattern: RegExp | undefined;
  readonly credential: CredentialScheme;
  readonly errorShape: ErrorShape;
  /** What only this provider's keys look like, where that is documented and stable: to tell a misplaced key by. */
  readonly keyPattern: RegExp | undefined;
  readonly sensitiveEndpoints: readonly SensitiveEndpoint[];
  /**
   * Lower-case paths whose segment `{name}` is a name that may have a slash in it, which SDKs encode. `*` is another segment. None:
   * an encoded slash is refused.
   */
  readonly slashedNames?: readonly string[];
  readonly models: ModelFacts;
  readonly uses: ProviderUses;
  /** Null: there is no such call, or it asks for rights that a good key may not have. */
  readonly probe: ProviderProbe | null;
  /** Lower-case. What is read there, and below, is answered to everybody: a dead key, too. */
  readonly openPaths?: readonly string[];
  readonly client: ClientSettings;
  /** Variables besides `client.keyVariable` under which clients and tools look for a key of it. */
  readonly otherKeyVariables?: readonly string[];
}

// The calls that prove a key, as most rows have them. A call is here only when a bad key can't pass it: many providers list
// their models for everybody.

/** How a bad key is answered (RFC 9110, 15.5.2 and 15.5.4). */
export const UNAUTHORISED: readonly number[] = [401, 403];

/** A plain GET that needs nothing but the key. */
export function probe(path: string): ProviderProbe {
  return { path, headers: [], refusedWith: UNAUTHORISED };
}
