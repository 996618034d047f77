// The vocabulary of failure: why the proxy refuses (one union, turned into an answer by one switch in
// proxy/refusal.ts) and the errors that rooms throw at each other. Never carries a secret, a token or a body.

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

/** One of several processes that serve could not start. The message is for people. */
export class WorkerFailure extends Error {
  override name = "WorkerFailure";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

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

/**
 * What the admin API says went wrong: every stable code, with the statuses that it comes with. docs/admin-api.md explains each;
 * codes are added, never changed.
 */
export const PROBLEMS = {
  // the request itself
  bad_request: [400, 408, 431],
  invalid_json: [400],
  body_too_large: [413],
  unsupported_media_type: [415],
  host_not_allowed: [421],
  invalid_request: [422],
  cursor_invalid: [422],
  conflict: [409],
  not_found: [404],
  // who is asking
  unauthenticated: [401],
  sign_in_refused: [401],
  second_factor_needed: [401],
  proof_refused: [401],
  link_invalid: [401],
  setup_link_invalid: [401],
  too_many_attempts: [429],
  too_many_requests: [429],
  // what they may do
  role_too_low: [403],
  person_needed: [403],
  limited_to_agents: [403],
  address_not_allowed: [403],
  csrf: [403],
  https_needed: [403],
  proof_needed: [403],
  second_factor_required: [403, 409],
  // users, sessions and API keys
  user_not_found: [404],
  invitation_not_found: [404],
  session_not_found: [404],
  api_key_not_found: [404],
  user_exists: [409],
  email_taken: [409],
  name_taken: [409],
  password_too_short: [422],
  password_too_long: [422],
  password_common: [422],
  code_wrong: [422],
  second_factor_missing: [409],
  agents_not_allowed: [422],
  address_invalid: [422],
  last_owner: [409],
  own_account: [409],
  // workspaces and environments
  workspace_not_found: [404],
  home_workspace_only: [403],
  home_workspace: [409],
  already_set_up: [409],
  name_mismatch: [422],
  environment_not_found: [404],
  // agents
  agent_not_found: [404],
  agent_name_invalid: [422],
  environment_invalid: [422],
  endpoint_unknown: [422],
  ttl_invalid: [422],
  rule_invalid: [422],
  model_invalid: [422],
  idempotency_conflict: [409],
  agent_suspended: [409],
  registration_not_found: [404],
  too_many_registrations: [409],
  lease_not_found: [404],
  too_many_leases: [409],
  // providers
  provider_not_found: [404],
  provider_unknown: [404, 422],
  provider_name_invalid: [422],
  provider_name_taken: [422],
  header_invalid: [422],
  header_refused: [422],
  scheme_invalid: [422],
  // origins
  origin_invalid: [422],
  origin_malformed: [422],
  origin_refused: [422],
  origin_fixed: [422],
  origin_required: [422],
  origin_of_other_provider: [422],
  // secrets
  secret_not_found: [404],
  version_not_found: [404],
  no_earlier_version: [409],
  key_refused: [409],
  key_unproved: [409],
  candidate_gone: [409],
  candidate_outdated: [409],
  version_is_candidate: [409],
  version_outdated: [409],
  environment_malformed: [422],
  label_malformed: [422],
  label_has_key: [422],
  key_empty: [422],
  key_is_ours: [422],
  key_has_name: [422],
  key_has_whitespace: [422],
  key_has_quotes: [422],
  key_has_odd_characters: [422],
  key_too_long: [422],
  key_of_other_provider: [422],
  // the audit
  event_not_found: [404],
  event_not_sealed: [409],
  audit_damaged: [409],
  size_unknown: [422],
  // backups
  recipient_invalid: [422],
  // master keys
  master_key_not_found: [404],
  master_key_not_named: [409],
  master_key_not_held: [409],
  // ourselves
  busy: [503],
  store_unavailable: [503],
  internal_error: [500],
} as const satisfies Record<string, readonly number[]>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface Candidate {
  /** The secret's id. */
  readonly secret: string;
  readonly version: number;
}

/** What an admin API caller did wrong: a stable code and a message meant for that caller. */
export class RequestError extends Error {
  override name = "RequestError";
  readonly status: number;
  readonly code: ProblemCode;
  /** For the Retry-After of a 429 or 503; undefined: the usual. */
  readonly retryAfterS: number | undefined;
  /** The version of a secret that was kept as a candidate. */
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
