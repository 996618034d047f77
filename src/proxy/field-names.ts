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
  // Rules judge the host, method and path that stand in the request's head, so none of these may say otherwise.
  "x-host",
  "x-http-host-override",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-original-host",
  "x-original-uri",
  "x-original-url",
  "x-rewrite-url",
]);

/** State and routing of the upstream's own host, which would be wrong or harmful at ours. */
const RESPONSE_DROPPED: ReadonlySet<string> = new Set(["set-cookie", "set-cookie2", "alt-svc"]);

/** About a response's framing, or what it lacks. */
const TELLING: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "trailer",
  "transfer-encoding",
]);

/** By what a call is found in the log of whoever made or answered it; of several, the last of these counts. */
const REQUEST_IDS: readonly string[] = [
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
]);

/** Can carry a credential past us, and no provider's API wants them from an agent: dropped unread. */
const UNREAD: ReadonlySet<string> = new Set([
  "cookie",
  "cookie2",
  "proxy-authorization",
  "x-amz-security-token",
]);

/** No spelling of ours goes up, whatever stands around it or between its parts. */
const OWN_NAME = "x3sproxy";
const OWN_PREFIX = "x3sproxy-";
const CONTEXT_PREFIX = "x3sproxy-context-";
const CONTEXT_NAME = /^[a-z0-9-]{1,32}$/;
const FORWARDED_PREFIX = "x-forwarded";

export interface FieldName {
  /** Lower-case, as HTTP compares it (RFC 9110, 5.1). */
  readonly lower: string;
  /** The same with `_` as `-`, since behind a CGI-like interface they are the same: what our lists compare. */
  readonly comparable: string;
  readonly isHopByHop: boolean;
  /** Of a request: never goes upstream, whatever it holds. Slots aside. */
  readonly isRequestDropped: boolean;
  /** Of a response: never goes to the client. */
  readonly isResponseDropped: boolean;
  /** Whether a response's field tells more than what is passed on. */
  readonly isTelling: boolean;
  /** How much a request's id counts that stands in it; 0: there is none in it. */
  readonly requestIdRank: number;
  /** Whether a request's field names it: by an id or a trace. */
  readonly isIdentifying: boolean;
  readonly isSlot: boolean;
  readonly isUnread: boolean;
  /** Of a context header: what stands behind the prefix; empty when that can't be a name. Undefined for any other header. */
  readonly contextName: string | undefined;
}

/** What counts of a name by itself: all but what depends on a spelling, and on a prefix. */
type Facts = Omit<FieldName, "lower" | "comparable" | "contextName">;

const NO_FACTS: Facts = {
  isHopByHop: false,
  isRequestDropped: false,
  isResponseDropped: false,
  isTelling: false,
  requestIdRank: 0,
  isIdentifying: false,
  isSlot: false,
  isUnread: false,
};

/** By comparable name, so that a name of nobody's costs one look and not one in each list. */
const FACTS: ReadonlyMap<string, Facts> = new Map(
  [
    ...HOP_BY_HOP,
    ...REQUEST_DROPPED,
    ...RESPONSE_DROPPED,
    ...TELLING,
    ...REQUEST_IDS,
    ...SLOTS,
    ...UNREAD,
    "traceparent",
  ].map((name): [string, Facts] => {
    const isHopByHop = HOP_BY_HOP.has(name);
    const requestIdRank = REQUEST_IDS.indexOf(name) + 1;
    return [
      name,
      {
        isHopByHop,
        isRequestDropped: isHopByHop || REQUEST_DROPPED.has(name),
        isResponseDropped: isHopByHop || RESPONSE_DROPPED.has(name),
        isTelling: TELLING.has(name),
        requestIdRank,
        isIdentifying: requestIdRank > 0 || name === "traceparent",
        isSlot: SLOTS.has(name),
        isUnread: UNREAD.has(name),
      },
    ];
  }),
);

// The same few names come with every request. Names that nobody sends twice must not fill the memory; that somebody sends many of
// them must not make the names of our lists cost anybody more.
const MAX_REMEMBERED = 1000;
const LONGEST_REMEMBERED = 64;
const remembered = new Map<string, FieldName>();
const kept: readonly (readonly [string, FieldName])[] = [...FACTS.keys()].flatMap((name) => {
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
  const comparable = lower.replaceAll("_", "-");
  const facts = FACTS.get(comparable) ?? NO_FACTS;
  const isOurs = comparable.includes(OWN_NAME);
  return {
    lower,
    comparable,
    isHopByHop: facts.isHopByHop,
    isRequestDropped: facts.isRequestDropped || isOurs || comparable.startsWith(FORWARDED_PREFIX),
    isResponseDropped: facts.isResponseDropped || (isOurs && comparable.startsWith(OWN_PREFIX)),
    isTelling: facts.isTelling,
    requestIdRank: facts.requestIdRank,
    isIdentifying: facts.isIdentifying,
    isSlot: facts.isSlot,
    isUnread: facts.isUnread,
    contextName: isOurs ? contextNameOf(comparable) : undefined,
  };
}

function contextNameOf(comparable: string): string | undefined {
  if (!comparable.startsWith(CONTEXT_PREFIX)) return undefined;
  const name = comparable.slice(CONTEXT_PREFIX.length);
  return CONTEXT_NAME.test(name) ? name : "";
}
