// Which headers a key may go into. A field that says what a request is, whence it came or how it is to be read is not one of them:
// servers and those in between answer with such fields, log them, or act on them. Pure.

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** Where keys of known APIs go, whatever their names say. */
const OF_KEYS: ReadonlySet<string> = new Set(
  words("authorization api-key ocp-apim-subscription-key x-api-key x-goog-api-key xi-api-key"),
);

/**
 * Of HTTP and its usual extensions (RFC 9110, 9111, 9112, the IANA registry of field names). Cookie and Via are not among them: there
 * are gateways that take a key so, and a server doesn't answer with what it got in them.
 */
const OF_HTTP: ReadonlySet<string> = new Set(
  words(`
    accept age allow alt-svc alt-used baggage cache-control connection content-digest cookie2 date digest dnt early-data etag expect
    expires forwarded from host http2-settings keep-alive last-modified link location max-forwards origin pragma prefer priority range
    referer repr-digest retry-after save-data server server-timing set-cookie set-cookie2 signature signature-input sourcemap te
    trailer transfer-encoding upgrade upgrade-insecure-requests user-agent vary warning www-authenticate x-cache x-powered-by
    x-requested-with x-runtime x-served-by x-timer`),
);

/** Of negotiation, conditions, browsers, proxies and delivery networks, and our own. */
const PREFIXES = words(`
  accept- access-control- cdn- cf- content- fastly- fly- if- proxy- ratelimit sec- x-amz- x-amzn- x-b3- x-cloud-trace x-datadog-
  x-envoy- x-forwarded x-original x-ratelimit x-stainless- x3sproxy`);

/** What names a request, its trace, its way or its form, between any two dashes. */
const OTHER_MEANINGS: ReadonlySet<string> = new Set(
  words(`
    cache correlation correlationid csrf debug encoding etag guid host hostname id idempotency ids ip language locale messageid method
    nonce origin path port proto ray referer request requestid rewrite sessionid span spanid timestamp trace traceid traceparent
    tracestate transaction transactionid uid uri url uuid version xsrf`),
);

const joined = (name: string): string =>
  name.replaceAll(/[^a-z0-9]/g, "").replace(/^x(?=[a-z])/, "");

/** Of these and of HTTP's, what some write in one word, with and without an x before it. */
const IN_ONE_WORD: ReadonlySet<string> = new Set([
  ...[...OF_HTTP].map(joined),
  ...words(`
    b3 callid clientip csrftoken forwardedfor httpmethod idempotencykey originalurl realip reqid rewriteurl rid tracecontext xsrftoken`),
]);
const AN_ID = /(?:call|correlation|message|req|request|session|span|trace|transaction)ids?$/;

/** Whether a key may go into the header `name`, in any case. `_` counts as `-`: behind a CGI-like interface they are the same. */
export function mayCarryKey(name: string): boolean {
  const comparable = name.toLowerCase().replaceAll("_", "-");
  if (OF_KEYS.has(comparable)) return true;
  const oneWord = joined(comparable);
  return (
    !IN_ONE_WORD.has(oneWord) &&
    !AN_ID.test(oneWord) &&
    !PREFIXES.some((prefix) => comparable.startsWith(prefix)) &&
    !comparable.split(/[^a-z0-9]/).some((word) => OTHER_MEANINGS.has(word))
  );
}
