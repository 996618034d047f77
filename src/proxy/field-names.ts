// What there is to know of a header field by its name alone: the one table that findings, stripping and rewriting all read.
// Never looks at a value.

/** Never forwarded in either direction (RFC 9110, 7.6.1, with the fields that proxies have learned to distrust). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** Set anew for the upstream connection, or meant for us alone. Request trailers are not forwarded, so neither is their list. */
const REQUEST_DROPPED: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "expect",
  "trailer",
  "forwarded",
  "x-real-ip",
  // Rules judge the host, method and path that stand in the request's head, so none of these may say otherwise, and none of REWRITES.
  "x-host",
  "x-host-override",
  "x-matched-path", // Vercel
  "x-method-override",
  "x-ms-original-url", // Azure
  "x-fal-target-url",
  // Whom a gateway says that it has let in, or from where.
  "client-cert", // RFC 9440, as the next one
  "client-cert-chain",
  "x-client-ip",
  "x-cluster-client-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "cf-connecting-ipv6",
  "x-endpoint-api-userinfo", // Google
]);

/**
 * Families of the same: gateways write them for what stands behind, which believes them, and take new ones without a word. Envoy's
 * internal headers, IIS and Azure App Service (`arr`, `waws`, `ms-…`), Next.js, App Engine, API Gateway's adapters, load balancers' logins,
 * and what Google's upload server hands on as a header of its own.
 */
const REWRITES =
  /^x-(?:forwarded|envoy-|original-|rewrite-|http-|arr-|waws-|middleware-|invoke-|appengine-|apigateway-|accel-|ms-(?:client-principal|token-)|amzn-oidc-|goog-(?:iap-|authenticated-user-|upload-header-(?!content-)))/;

/** State and routing of the upstream's own host, which would be wrong or harmful at ours. */
const RESPONSE_DROPPED: ReadonlySet<string> = new Set(["set-cookie", "set-cookie2", "alt-svc"]);

/** How a response is framed, and whether it has a date: read, and written anew. */
const FRAMING_AND_DATE: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "trailer",
  "transfer-encoding",
]);

/** Whose pages may read an answer is said by this proxy (cors.ts), for its own origin. */
const CORS_PREFIX = "access-control-";

/** How a field of an answer holds URLs: one, several in angle brackets (RFC 8288), or one behind a delay. */
export type UrlForm = "url" | "link" | "refresh";

/** With URLs that clients follow, and that are the upstream's own. */
const URL_FORMS: ReadonlyMap<string, UrlForm> = new Map([
  ["location", "url"],
  ["content-location", "url"],
  ["operation-location", "url"], // Azure, as the next one
  ["azure-asyncoperation", "url"],
  ["x-goog-upload-url", "url"], // Google's resumable uploads, as the next one
  ["x-goog-upload-control-url", "url"],
  ["link", "link"],
  ["refresh", "refresh"],
]);

/** By what a call is found in the log of whoever made or answered it; of several, the last of these counts. */
export const REQUEST_IDS: readonly string[] = [
  "cf-ray", // of Cloudflare, before many providers
  "x-correlation-id",
  "mistral-correlation-id",
  "x-debug-trace-id", // Cohere
  "x-ds-trace-id", // DeepSeek
  "x-client-request-id", // a client's
  "x-fal-request-id",
  "x-generation-id", // OpenRouter
  "x-goog-request-id",
  "apim-request-id", // Azure
  "x-ms-request-id",
  "x-amzn-requestid", // Bedrock
  "x-request-id", // OpenAI, Groq, xAI and most others
  "openai-request-id",
  "request-id", // Anthropic
];

/** A credential whatever they hold. */
const SLOTS: ReadonlySet<string> = new Set([
  "authorization",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
  "xi-api-key",
  "ocp-apim-subscription-key", // Azure, beside api-key
  "x-firerouter-fireworks-key", // Fireworks, beside Authorization
]);

/** So do these: x-fireworks-api-key and x-anthropic-api-key at Fireworks, x-serverless-authorization at Google, x-ms-authorization… */
const SLOT_ENDING = /(?:^|-)(?:api-?key|authorization)$/;

/** Can carry a credential past us, and no provider's API wants them from an agent: dropped unread. */
const UNREAD: ReadonlySet<string> = new Set([
  "cookie",
  "cookie2",
  "proxy-authorization",
  "x-amz-security-token",
  "x-amz-s3session-token",
  "x-ms-authorization-auxiliary",
  "x-goog-iam-authorization-token",
  "x-goog-iam-authority-selector",
]);

/** No spelling of ours goes up, whatever stands around it or between its parts. */
const OWN_NAME = "x3sproxy";
const OWN_PREFIX = "x3sproxy-";
const CONTEXT_PREFIX = "x3sproxy-context-";
const CONTEXT_NAME = /^[a-z0-9-]{1,32}$/;

export interface FieldName {
  /** Lower-case, as HTTP compares it (RFC 9110, 5.1). */
  readonly lower: string;
  /** The same with `-` for all but letters and digits, since behind a CGI-like interface they are the same: what our lists compare. */
  readonly comparable: string;
  readonly isHopByHop: boolean;
  /** Of a request: never goes upstream, whatever it holds. Slots aside. */
  readonly isRequestDropped: boolean;
  /** Of a response: never goes to the client. */
  readonly isResponseDropped: boolean;
  /** Whether a response's field frames it, or is its date. */
  readonly isFramingOrDate: boolean;
  /** Of a response: how it holds URLs; undefined: it holds none. */
  readonly urlForm: UrlForm | undefined;
  /** How much a request's id counts that stands in it; 0: there is none in it. */
  readonly requestIdRank: number;
  /** Whether a request's field names it: by an id or a trace. */
  readonly isIdentifying: boolean;
  readonly isSlot: boolean;
  readonly isUnread: boolean;
  /** Of a context header: what stands behind the prefix; empty when that can't be a name. Undefined for any other header. */
  readonly contextName: string | undefined;
}

// The same few names come with every request. Names that nobody sends twice must not fill the memory; that somebody sends many of
// them must not make the names of our lists cost anybody more.
const MAX_REMEMBERED = 1000;
const LONGEST_REMEMBERED = 64;
const remembered = new Map<string, FieldName>();
const kept: readonly (readonly [string, FieldName])[] = [
  ...HOP_BY_HOP,
  ...REQUEST_DROPPED,
  ...RESPONSE_DROPPED,
  ...FRAMING_AND_DATE,
  ...URL_FORMS.keys(),
  ...REQUEST_IDS,
  ...SLOTS,
  ...UNREAD,
  "traceparent",
].flatMap((name) => {
  const capitalised = name.replace(/(?<![a-z0-9])[a-z]/g, (letter) => letter.toUpperCase());
  return [name, capitalised].map((spelling) => [spelling, classify(spelling)] as const);
});
forgetOthers();

/** What there is to know of a field named `name`, in any case. */
export function fieldName(name: string): FieldName {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  if (name.length > LONGEST_REMEMBERED) return classify(name);
  // A copy: the name may be a slice that would keep a whole header section in memory.
  const own = Buffer.from(name, "latin1").toString("latin1");
  const found = classify(own);
  if (remembered.size >= MAX_REMEMBERED) forgetOthers();
  remembered.set(own, found);
  return found;
}

function forgetOthers(): void {
  remembered.clear();
  for (const [spelling, found] of kept) remembered.set(spelling, found);
}

function classify(name: string): FieldName {
  const lower = name.toLowerCase();
  const comparable = lower.replace(/[^a-z0-9]/g, "-");
  const isHopByHop = HOP_BY_HOP.has(comparable);
  const isUnread = UNREAD.has(comparable);
  const isRequestDropped =
    isHopByHop ||
    REQUEST_DROPPED.has(comparable) ||
    REWRITES.test(comparable) ||
    comparable.includes(OWN_NAME);
  return {
    lower,
    comparable,
    isHopByHop,
    isRequestDropped,
    isResponseDropped:
      isHopByHop ||
      RESPONSE_DROPPED.has(comparable) ||
      // The parser has framed the answer by no other spelling, so nobody behind us may.
      (comparable === "content-length" && lower !== comparable) ||
      comparable.startsWith(OWN_PREFIX) ||
      comparable.startsWith(CORS_PREFIX),
    isFramingOrDate: FRAMING_AND_DATE.has(lower),
    urlForm: URL_FORMS.get(comparable),
    requestIdRank: REQUEST_IDS.indexOf(comparable) + 1,
    isIdentifying: comparable === "traceparent" || REQUEST_IDS.includes(comparable),
    isSlot:
      SLOTS.has(comparable) || (SLOT_ENDING.test(comparable) && !isUnread && !isRequestDropped),
    isUnread,
    contextName: contextNameOf(lower.replaceAll("_", "-")),
  };
}

function contextNameOf(dashed: string): string | undefined {
  if (!dashed.startsWith(CONTEXT_PREFIX)) return undefined;
  const name = dashed.slice(CONTEXT_PREFIX.length);
  return CONTEXT_NAME.test(name) ? name : "";
}
