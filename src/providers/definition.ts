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
  /** Null: there is no such call, or it asks for rights that a good key may not have. */
  readonly probe: ProviderProbe | null;
  readonly client: ClientSettings;
}
