// Why the proxy refuses a call (one union, which proxy/refusal.ts turns into answers), and the errors that rooms throw. Must never carry a
// secret, a token or a body.

import type { Candidate, ProblemCode } from "../contract/index.ts";

/** Why the proxy answers by itself instead of forwarding. On the wire in the `x3sproxy-refusal` header. */
export type RefusalReason =
  // the request itself
  | "bad_request"
  | "bad_path"
  | "bad_query"
  | "headers_too_large"
  | "method_not_allowed"
  | "expectation_failed"
  | "request_timeout"
  | "not_found"
  | "unknown_provider"
  | "bad_context"
  | "page_not_allowed"
  // the token
  | "missing_token"
  | "malformed_token"
  | "foreign_credential"
  | "conflicting_tokens"
  | "unknown_token"
  | "expired_token"
  | "registration_invalid"
  // what the token may do
  | "agent_suspended"
  | "scope_expired"
  | "address_not_allowed"
  | "provider_not_allowed"
  | "path_not_allowed"
  | "model_not_allowed"
  | "model_unclear"
  | "rate_limited"
  | "too_many_streams"
  | "too_many_bytes"
  | "sensitive_endpoint"
  | "no_secret"
  | "origin_changed"
  | "header_changed"
  | "header_refused"
  // ourselves
  | "secret_unreadable"
  | "store_unavailable"
  | "overloaded"
  | "stopping"
  | "internal_error"
  // the upstream
  | "upstream_address_refused"
  | "upstream_unreachable"
  | "upstream_connect_timeout"
  | "upstream_first_byte_timeout"
  | "upstream_protocol_error";

/** A worker process could not start. The message is for people. */
export class WorkerFailure extends Error {
  override name = "WorkerFailure";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The service can't start with its settings. The message says what to do, and is printed without a stack. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** The database did not answer within its deadline, or is not there. Callers answer 503, never 401. */
export class StoreUnavailableError extends Error {
  override name = "StoreUnavailableError";
}

/** A sealed value did not open: the key is wrong, or the row was moved or edited. Names the row, never its content. */
export class SealError extends Error {
  override name = "SealError";
}

/** A mistake of the admin API's caller, with a stable code and a message for that caller. */
export class RequestError extends Error {
  override name = "RequestError";
  readonly status: number;
  readonly code: ProblemCode;
  /** The Retry-After of a 429 or 503, in seconds. Undefined: the usual one. */
  readonly retryAfterS: number | undefined;
  /** The version of a secret that was saved as a candidate. */
  readonly candidate: Candidate | undefined;

  constructor(
    status: number,
    code: ProblemCode,
    message: string,
    o: { retryAfterS?: number; candidate?: Candidate } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = o.retryAfterS;
    this.candidate = o.candidate;
  }
}
