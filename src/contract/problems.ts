// The problems of the REST API: every stable code, and the problem document (RFC 9457). Codes may be added, never changed.
import { z } from "zod";

interface ProblemKind {
  /** The statuses with which the code is sent. */
  readonly statuses: readonly number[];
  /** For people, as docs/admin-api.md has it. */
  readonly meaning: string;
}

export const PROBLEMS = {
  // the request itself
  bad_request: {
    statuses: [400, 408, 431],
    meaning:
      "the request is not valid HTTP, has a method that is not ours, is late or too large, or its path can't be decoded",
  },
  invalid_json: {
    statuses: [400],
    meaning: "the body is empty or not JSON, or reaches for a prototype",
  },
  body_too_large: { statuses: [413], meaning: "the body is larger than 64 KB" },
  unsupported_media_type: { statuses: [415], meaning: "the body is not `application/json`" },
  host_not_allowed: {
    statuses: [421],
    meaning:
      "the service does not answer to the host name in the request: set `X3SPROXY_DASHBOARD_URL`",
  },
  invalid_request: {
    statuses: [422],
    meaning:
      "a field, parameter or header is missing, unknown or not as it has to be; `detail` names it, or those that there are",
  },
  cursor_invalid: { statuses: [422], meaning: "the cursor is not one of this list's" },
  conflict: {
    statuses: [409],
    meaning:
      "somebody changed the same thing at the same moment; look at how it is now, then try again",
  },
  not_found: { statuses: [404], meaning: "there is nothing at this path" },
  // who is asking
  unauthenticated: {
    statuses: [401],
    meaning: "no live API key was sent, and no live session with its secret",
  },
  sign_in_refused: {
    statuses: [401],
    meaning: "e-mail, password or code is wrong; which is not said",
  },
  second_factor_needed: { statuses: [401], meaning: "the password is right; send a code with it" },
  proof_refused: { statuses: [401], meaning: "the password or code given again is wrong" },
  link_invalid: {
    statuses: [401],
    meaning: "the one-time link was used, has expired, or never was",
  },
  setup_link_invalid: {
    statuses: [401],
    meaning: "the same of the link that makes the first user",
  },
  too_many_attempts: {
    statuses: [429],
    meaning:
      "a credential that is not good, after too many others from this address; or too many wrong tries from it at this account",
  },
  too_many_requests: {
    statuses: [429],
    meaning: "the API key has used up its requests for now; never for suspending",
  },
  // what they may do
  role_too_low: { statuses: [403], meaning: "the caller's role does not allow this" },
  person_needed: { statuses: [403], meaning: "only a signed-in user can do this, no API key" },
  limited_to_agents: {
    statuses: [403],
    meaning: "the caller is limited to some agents, and this is about something else",
  },
  address_not_allowed: {
    statuses: [403],
    meaning: "the API key may not be used from this address",
  },
  csrf: {
    statuses: [403],
    meaning: "the browser says that the request does not come from the dashboard",
  },
  https_needed: {
    statuses: [403],
    meaning:
      "nobody signs in, or uses a link, by plain http over a network: give the service a certificate, or put a TLS proxy in front and set `X3SPROXY_DASHBOARD_URL` to its https URL",
  },
  proof_needed: {
    statuses: [403],
    meaning: "the last proof is older than 5 minutes: `POST /me/proof` first",
  },
  second_factor_required: {
    statuses: [403, 409],
    meaning: "the workspace requires a second factor: enrol one first (403), or keep it (409)",
  },
  // users, sessions and API keys
  user_not_found: { statuses: [404], meaning: "there is no such user" },
  invitation_not_found: { statuses: [404], meaning: "there is no such invitation" },
  session_not_found: { statuses: [404], meaning: "there is no such session" },
  api_key_not_found: { statuses: [404], meaning: "there is no such API key" },
  user_exists: {
    statuses: [409],
    meaning: "there is a user with this address; to be erased, a user has to be deleted first",
  },
  email_taken: { statuses: [409], meaning: "the same" },
  name_taken: { statuses: [409], meaning: "there is one of this name" },
  password_too_short: { statuses: [422], meaning: "the password has fewer than 12 characters" },
  password_too_long: { statuses: [422], meaning: "the password is too long" },
  password_common: { statuses: [422], meaning: "the password is on the list of common ones" },
  code_wrong: { statuses: [422], meaning: "the code is not that of the seed" },
  second_factor_missing: { statuses: [409], meaning: "there is no second factor" },
  agents_not_allowed: { statuses: [422], meaning: "this role can't be limited to agents" },
  address_invalid: { statuses: [422], meaning: "an address block is malformed" },
  last_owner: { statuses: [409], meaning: "the workspace would have no owner left" },
  own_account: { statuses: [409], meaning: "nobody deletes themselves" },
  // workspaces and environments
  workspace_not_found: { statuses: [404], meaning: "there is no such workspace" },
  home_workspace_only: {
    statuses: [403],
    meaning: "only owners of the installation's home workspace can do this",
  },
  home_workspace: { statuses: [409], meaning: "the home workspace can't be deleted" },
  already_set_up: {
    statuses: [409],
    meaning: "the workspace has users: no setup link can be made for it",
  },
  name_mismatch: {
    statuses: [422],
    meaning: "the name given is not that of the workspace to be deleted",
  },
  environment_not_found: {
    statuses: [404],
    meaning: "there is no key and no agent in this environment",
  },
  // agents
  agent_not_found: { statuses: [404], meaning: "there is no such agent" },
  agent_name_invalid: { statuses: [422], meaning: "the agent's name is not one" },
  environment_invalid: { statuses: [422], meaning: "the environment's name is not one" },
  endpoint_unknown: { statuses: [422], meaning: "there is no such sensitive endpoint" },
  ttl_invalid: {
    statuses: [422],
    meaning: "the token's life is not between a minute and 365 days",
  },
  rule_invalid: {
    statuses: [422],
    meaning: "a path rule is malformed, or names a provider that there isn't",
  },
  model_invalid: { statuses: [422], meaning: "a model's name is malformed" },
  idempotency_conflict: {
    statuses: [409],
    meaning:
      "the idempotency key was given with another request, or its deployment is no longer the newest: take a new key",
  },
  agent_suspended: {
    statuses: [409],
    meaning: "the agent, or all of its workspace, is suspended: a token of it would be refused",
  },
  registration_not_found: {
    statuses: [404],
    meaning: "the registration was traded or revoked, or its agent redeployed",
  },
  too_many_registrations: {
    statuses: [409],
    meaning: "the agent has 100 registrations that nobody has traded",
  },
  lease_not_found: {
    statuses: [404],
    meaning: "the lease lapsed or was ended, or its agent was redeployed or destroyed",
  },
  too_many_leases: { statuses: [409], meaning: "the agent has 100 leases at once" },
  // providers
  provider_not_found: {
    statuses: [404],
    meaning: "there is no such provider of the workspace's own",
  },
  provider_unknown: { statuses: [404, 422], meaning: "there is no such provider" },
  provider_name_invalid: { statuses: [422], meaning: "the provider's name is not one" },
  provider_name_taken: {
    statuses: [422],
    meaning: "the name is a built-in provider's, or reserved",
  },
  header_invalid: { statuses: [422], meaning: "the header's name is not one" },
  header_refused: {
    statuses: [422],
    meaning:
      "no key goes into this header; at `PUT /secrets`: the provider has such a one from before",
  },
  scheme_invalid: { statuses: [422], meaning: "the word before the key is not one word" },
  // origins
  origin_invalid: {
    statuses: [422],
    meaning: "the origin is not a scheme, a host and at most a port",
  },
  origin_malformed: { statuses: [422], meaning: "the same, given with a key" },
  origin_refused: {
    statuses: [422],
    meaning: "calls may not go to this origin: a private address, or plain http",
  },
  origin_fixed: { statuses: [422], meaning: "the provider has an origin of its own" },
  origin_required: {
    statuses: [422],
    meaning: "every customer of the provider has an origin of their own: give it",
  },
  origin_of_other_provider: { statuses: [422], meaning: "the origin is not one of the provider's" },
  // secrets
  secret_not_found: { statuses: [404], meaning: "there is no such key" },
  version_not_found: { statuses: [404], meaning: "the key has no such version" },
  no_earlier_version: { statuses: [409], meaning: "there is no version before the active one" },
  key_refused: {
    statuses: [409],
    meaning:
      "the provider refused the new key: the version before stays active, and `candidate` names the new one",
  },
  key_unproved: {
    statuses: [409],
    meaning:
      "the same, where the provider did not answer, answered neither yes nor no, or has no free call",
  },
  candidate_gone: {
    statuses: [409],
    meaning: "the version isn't the key's candidate: it was activated, thrown away or replaced",
  },
  candidate_outdated: {
    statuses: [409],
    meaning:
      "the provider's origin, header or scheme has changed since the candidate was sealed: save the key again",
  },
  version_is_candidate: {
    statuses: [409],
    meaning: "nobody rolls back to a version that was never active: activate it",
  },
  version_outdated: {
    statuses: [409],
    meaning:
      "the provider's origin, header or scheme has changed since the version was sealed, which can't be rolled back to: save the key again",
  },
  environment_malformed: { statuses: [422], meaning: "the environment's name is not one" },
  label_malformed: {
    statuses: [422],
    meaning: "the label is not one line of up to 200 characters",
  },
  label_has_key: { statuses: [422], meaning: "the label holds the key itself" },
  key_empty: { statuses: [422], meaning: "the key is empty" },
  key_is_ours: { statuses: [422], meaning: "the key is one of x3sproxy's own tokens" },
  key_has_name: {
    statuses: [422],
    meaning: "the name of a variable or of a header stands before the key",
  },
  key_has_whitespace: { statuses: [422], meaning: "there is white space in the key" },
  key_has_quotes: { statuses: [422], meaning: "there are quotation marks in the key" },
  key_has_odd_characters: {
    statuses: [422],
    meaning: "there are characters in the key that no header can carry",
  },
  key_too_long: { statuses: [422], meaning: "the key is longer than 4,096 characters" },
  key_of_other_provider: {
    statuses: [422],
    meaning: "the key has the form of another provider's, or of one that is not accepted",
  },
  // the audit
  event_not_found: { statuses: [404], meaning: "there is no such event in this workspace's audit" },
  event_not_sealed: {
    statuses: [409],
    meaning: "the event waits to be sealed, which takes about a second",
  },
  audit_damaged: {
    statuses: [409],
    meaning: "the audit's tree isn't whole any more: `x3sproxy audit verify` says where",
  },
  size_unknown: { statuses: [422], meaning: "the audit's log isn't that long" },
  // backups
  recipient_invalid: { statuses: [422], meaning: "not a public key of age" },
  // master keys
  master_key_not_found: {
    statuses: [404],
    meaning: "no process has ever had a master key of this id",
  },
  master_key_not_named: {
    statuses: [409],
    meaning: "there is no new master key, or more than one: name it in `to`",
  },
  master_key_not_held: { statuses: [409], meaning: "a process that runs lacks the master key" },
  // ourselves
  busy: {
    statuses: [503],
    meaning: "too many passwords are being checked or exports under way, or a backup is being made",
  },
  store_unavailable: { statuses: [503], meaning: "the database does not answer" },
  internal_error: {
    statuses: [500],
    meaning: "a fault of ours; the log line with the id in `instance` has more",
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

const candidate = z.object({ secret: z.string(), version: z.int() });
/** The candidate as which a new key was saved: the secret's id and the version. */
export type Candidate = Readonly<z.infer<typeof candidate>>;

export const problem = z
  .object({
    type: z.literal("about:blank"),
    title: z.string().describe("The status in words."),
    status: z.int(),
    detail: z.string().describe("What went wrong and what to do, for people."),
    code: z
      .union([z.enum(Object.keys(PROBLEMS)), z.string()])
      .describe("What went wrong, for programs: stable. More may be added."),
    instance: z
      .string()
      .optional()
      .describe("`urn:uuid:…` of the log line, for an `internal_error`."),
    candidate: candidate
      .optional()
      .describe("Of `key_refused` and `key_unproved`: the version that the new key was kept as."),
  })
  .meta({ id: "Problem" });
