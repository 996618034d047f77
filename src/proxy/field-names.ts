// What a header field's name tells about it: the one table for finding, stripping and rewriting fields. Never looks at a value.

/** Never forwarded in either direction: hop-by-hop (RFC 9110, 7.6.1), and fields that attackers use against proxies. */
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

/** Set anew for the upstream connection, or meant for us. We forward no request trailers, so their list goes, too. */
const REQUEST_DROPPED: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "expect",
  "trailer",
  "forwarded",
  "x-real-ip",
  // Rules judge the request line and Host. These fields, and those of REWRITES, would make a server read another method, host or path.
  "x-host",
  "x-host-override",
  "x-matched-path", // Vercel
  "x-method-override",
  "x-ms-original-url", // Azure
  "x-fal-target-url",
  // Gateways write into these whom they have authenticated, or where a call came from.
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
 * Families of such fields. Gateways write them for the servers behind, which trust them, and vendors add new ones unannounced. Envoy's
 * internal headers, IIS and Azure App Service (`arr`, `waws`, `ms-…`), Next.js, App Engine, API Gateway's adapters, load balancers' logins,
 * and what Google's upload server hands on as a header of its own.
 */
const REWRITES =
  /^x-(?:forwarded|envoy-|original-|rewrite-|http-|arr-|waws-|middleware-|invoke-|appengine-|apigateway-|accel-|ms-(?:client-principal|token-)|amzn-oidc-|goog-(?:iap-|authenticated-user-|upload-header-(?!content-)))/;

/** State and routing for the upstream's host: wrong or harmful for ours. */
const RESPONSE_DROPPED: ReadonlySet<string> = new Set(["set-cookie", "set-cookie2", "alt-svc"]);

/** How a response is framed, and whether it has a date: read, and written anew. */
const FRAMING_AND_DATE: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "trailer",
  "transfer-encoding",
]);

/** The proxy itself says which pages may read an answer (cors.ts). */
const CORS_PREFIX = "access-control-";

/** How a response field holds URLs: one, several in angle brackets (RFC 8288), or one after a delay. */
export type UrlForm = "url" | "link" | "refresh";

/** Response fields with URLs that clients follow. */
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

/** Ids by which clients and providers find a request in their logs. If a request has several, the last in this list counts. */
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

/** Fields that are a credential, whatever they hold. */
const SLOTS: ReadonlySet<string> = new Set([
  "authorization",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
  "xi-api-key",
  "ocp-apim-subscription-key", // Azure, beside api-key
  "x-firerouter-fireworks-key", // Fireworks, beside Authorization
]);

/** The same by how they end: x-fireworks-api-key and x-anthropic-api-key at Fireworks, x-serverless-authorization at Google, x-ms-authorization… */
const SLOT_ENDING = /(?:^|-)(?:api-?key|authorization)$/;

/** Could carry a credential past us, and no provider's API needs them from an agent: dropped unread. */
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

/** Fields with our name in any spelling never go up. */
const OWN_NAME = "x3sproxy";
const OWN_PREFIX = "x3sproxy-";
const CONTEXT_PREFIX = "x3sproxy-context-";
const CONTEXT_NAME = /^[a-z0-9-]{1,32}$/;

export interface FieldName {
  /** Lower-case, as HTTP compares it (RFC 9110, 5.1). */
  readonly lower: string;
  /** The same with `-` for everything but letters and digits: CGI-like servers see no difference. Our lists compare this form. */
  readonly comparable: string;
  readonly isHopByHop: boolean;
  /** A request's field of this name never goes upstream. Slots are dropped apart from this. */
  readonly isRequestDropped: boolean;
  /** A response's field of this name never goes to the client. */
  readonly isResponseDropped: boolean;
  /** Whether a response's field frames it, or is its date. */
  readonly isFramingOrDate: boolean;
  /** How a response's field holds URLs; undefined: it has none. */
  readonly urlForm: UrlForm | undefined;
  /** Its rank among fields with a request's id; 0: it has none. */
  readonly requestIdRank: number;
  /** Whether it identifies a request: an id or a trace. */
  readonly isIdentifying: boolean;
  readonly isSlot: boolean;
  readonly isUnread: boolean;
  /** The name after the prefix of a context header; empty: it isn't a valid name. Undefined: no context header. */
  readonly contextName: string | undefined;
}

// Every request has the same few names, so they are remembered. Names that come once must not fill the memory, and a client that sends many
// of them must not make the known names slower for others.
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

/** Looks up a field by its name, in any case. */
export function fieldName(name: string): FieldName {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  if (name.length > LONGEST_REMEMBERED) return classify(name);
  // A copy: a slice would keep the whole header section in memory.
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
      // Our parser frames an answer by the exact name alone, so clients must not see another spelling.
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
