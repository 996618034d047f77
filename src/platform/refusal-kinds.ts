// The kind of each refusal: the label `kind` of x3sproxy_refusals_total. Only denials count in the denial ratio (docs/monitoring.md).
import type { RefusalReason } from "./errors.ts";

export type RefusalKind =
  /** The request was malformed. */
  | "request"
  /** The request had no token of ours, or several. */
  | "credential"
  /** A live token without the permission, or a token that is unknown or has expired. */
  | "denial"
  /** Over a limit. */
  | "limit"
  /** Allowed, but there is no key yet. */
  | "setup"
  /** The service itself failed. */
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
