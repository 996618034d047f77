// The W3C Trace Context of a request, as far as the log names it. A proxy that takes no part in a trace passes both of its headers
// on as they came, whatever they hold; so nothing here changes any.

export interface Trace {
  readonly traceId: string;
  /** The id of the caller's span; in the header's own words, the parent id. */
  readonly spanId: string;
}

// Version 00 alone (W3C Trace Context, 3.2.2): nobody knows what a later one will hold.
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;
const ALL_ZERO = /^0+$/;

/** Reads the value of `traceparent`; undefined when it is not exactly as it has to be, or not there. */
export function readTraceparent(value: unknown): Trace | undefined {
  const found = typeof value === "string" ? TRACEPARENT.exec(value) : null;
  const [, traceId = "", spanId = ""] = found ?? [];
  if (found === null || ALL_ZERO.test(traceId) || ALL_ZERO.test(spanId)) return undefined;
  return { traceId, spanId };
}
