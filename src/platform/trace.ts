// Reads a request's W3C Trace Context for the log. We take no part in traces, so both headers are passed on unchanged.

export interface Trace {
  readonly traceId: string;
  /** The id of the caller's span; in the header's own words, the parent id. */
  readonly spanId: string;
}

// Only version 00 (W3C Trace Context, 3.2.2): the content of later versions is unknown.
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;
const ALL_ZERO = /^0+$/;

/** Reads the value of `traceparent`. Undefined if it is missing or not valid. */
export function readTraceparent(value: unknown): Trace | undefined {
  const found = typeof value === "string" ? TRACEPARENT.exec(value) : null;
  const [, traceId = "", spanId = ""] = found ?? [];
  if (found === null || ALL_ZERO.test(traceId) || ALL_ZERO.test(spanId)) return undefined;
  return { traceId, spanId };
}
