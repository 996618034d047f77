// The vocabulary of failure: why the proxy refuses (one union, turned into an answer by one switch in
// proxy/refusal.ts) and the errors that rooms throw at each other. Never carries a secret, a token or a body.

/** Why the proxy answers by itself instead of forwarding. On the wire in the `x3sproxy-refusal` header. */
export type RefusalReason =
  // the request itself
  | "bad_request"
  | "bad_path"
  | "headers_too_large"
  | "method_not_allowed"
  | "expectation_failed"
  | "request_timeout"
  | "not_found"
  | "unknown_provider"
  // the token
  | "missing_token"
  | "malformed_token"
  | "foreign_credential"
  | "conflicting_tokens"
  | "unknown_token"
  | "expired_token"
  // what the token may do
  | "provider_not_allowed"
  | "sensitive_endpoint"
  | "no_secret"
  | "origin_changed"
  // ourselves
  | "secret_unreadable"
  | "store_unavailable"
  | "overloaded"
  | "internal_error"
  // the upstream
  | "upstream_address_refused"
  | "upstream_unreachable"
  | "upstream_connect_timeout"
  | "upstream_first_byte_timeout"
  | "upstream_protocol_error";

/** The service can't start as it is configured. The message says what to do; it is printed without a stack. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** The database did not answer within its deadline, or is not there. Callers answer 503, never 401. */
export class StoreUnavailableError extends Error {
  override name = "StoreUnavailableError";
}

/** A sealed value did not open: wrong key, or a row that was moved or edited. Says which row, never what is in it. */
export class SealError extends Error {
  override name = "SealError";
}

/** What an admin API caller did wrong: a stable code and a message meant for that caller. */
export class RequestError extends Error {
  override name = "RequestError";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}
