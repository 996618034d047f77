// What each refusal says about whom: the label `kind` of x3sproxy_refusals_total. Only what is a denial here counts in the denial
// ratio (docs/monitoring.md).
import type { RefusalReason } from "./errors.ts";

export type RefusalKind =
  /** No request that could be judged. */
  | "request"
  /** No token of ours, or more than one. */
  | "credential"
  /** A live token that asked for what it may not do, and a token that is unknown or has expired. */
  | "denial"
  /** More than the limits allow. */
  | "limit"
  /** Allowed, and the operator has yet to give the key for it. */
  | "setup"
  /** This service could not. */
  | "service"
  /** The upstream did not answer. */
  | "upstream";

export const REFUSAL_KINDS: Readonly<Record<RefusalReason, RefusalKind>> = {
  bad_request: "request",
  bad_path: "request",
  bad_query: "request",
  headers_too_large: "request",
  method_not_allowed: "request",
  expectation_failed: "request",
  request_timeout: "request",
  not_found: "request",
  unknown_provider: "request",
  bad_context: "request",
  page_not_allowed: "request",
  missing_token: "credential",
  malformed_token: "credential",
  foreign_credential: "credential",
  conflicting_tokens: "credential",
  unknown_token: "denial",
  expired_token: "denial",
  registration_invalid: "denial",
  agent_suspended: "denial",
  scope_expired: "denial",
  address_not_allowed: "denial",
  provider_not_allowed: "denial",
  path_not_allowed: "denial",
  model_not_allowed: "denial",
  model_unclear: "denial",
  sensitive_endpoint: "denial",
  rate_limited: "limit",
  too_many_streams: "limit",
  too_many_bytes: "limit",
  no_secret: "setup",
  origin_changed: "setup",
  header_changed: "setup",
  header_refused: "setup",
  secret_unreadable: "service",
  store_unavailable: "service",
  overloaded: "service",
  stopping: "service",
  internal_error: "service",
  upstream_address_refused: "upstream",
  upstream_unreachable: "upstream",
  upstream_connect_timeout: "upstream",
  upstream_first_byte_timeout: "upstream",
  upstream_protocol_error: "upstream",
};
