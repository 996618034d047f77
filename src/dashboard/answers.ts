// What the REST API answers, checked where it comes in: one schema a thing. A field that is not named here is dropped.
import * as z from "zod/mini";

// Zod would try out `new Function` to find out whether it may; the policy forbids it, and the browser would report it.
z.config({ jitless: true });

/** Reads an answer's body. Throws when it is not as expected. */
export type Read<T> = (body: unknown) => T;

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
  /** How many there are over all pages; null where the service counts none, or told it before. */
  readonly total: number | null;
}

const text = z.string();
const count = z.number();
const maybeText = z.nullable(z.string());
const maybeCount = z.nullable(z.number());
const texts = z.array(z.string());
const maybeTexts = z.nullable(z.array(z.string()));

export const ROLES = ["viewer", "operator", "admin", "owner", "auditor"] as const;
const role = z.enum(ROLES);
export type Role = z.infer<typeof role>;

const me = z.object({
  kind: z.enum(["user", "api_key"]),
  id: text,
  name: text,
  role,
  agents: maybeTexts,
  workspace: z.object({ id: text, name: text, secondFactorRequired: z.boolean() }),
  session: z.nullable(z.object({ id: text, provedAt: text, endsAt: text })),
  secondFactor: z.nullable(z.object({ enrolled: z.boolean(), recoveryCodesLeft: count })),
  mustEnrol: z.boolean(),
});
export type Me = z.infer<typeof me>;

const session = z.object({
  id: text,
  current: z.boolean(),
  createdAt: text,
  lastSeenAt: text,
  endsAt: text,
  address: maybeText,
  userAgent: maybeText,
});
export type Session = z.infer<typeof session>;

const link = z.object({
  kind: z.enum(["invitation", "reset", "setup"]),
  email: maybeText,
  role: z.nullable(role),
  /** Whether it asks for a code of the second factor, too. */
  needsCode: z.optional(z.boolean()),
});
export type Link = z.infer<typeof link>;

const user = z.object({
  id: text,
  email: text,
  role,
  agents: maybeTexts,
  secondFactor: z.boolean(),
  createdAt: text,
  lastSignInAt: maybeText,
});
export type User = z.infer<typeof user>;

const invitation = z.object({
  id: text,
  email: text,
  role,
  agents: maybeTexts,
  invitedBy: maybeText,
  createdAt: text,
  expiresAt: text,
});
export type Invitation = z.infer<typeof invitation>;

const apiKey = z.object({
  id: text,
  name: text,
  role,
  agents: maybeTexts,
  createdAt: text,
  expiresAt: maybeText,
  lastUsedAt: maybeText,
  allowedAddresses: texts,
  requestsPerMinute: z.nullable(count),
});
export type ApiKey = z.infer<typeof apiKey>;

const workspace = z.object({
  id: text,
  name: text,
  secondFactorRequired: z.boolean(),
  rotationDays: count,
  idleDays: count,
  /** Tokens that are not used for so long end by themselves; null: never. */
  unusedDays: maybeCount,
  /** For how many days the audit is kept; null: for ever. */
  auditRetentionDays: maybeCount,
  /** From when that counts, after it was made shorter; null: it does. */
  auditRetentionFrom: maybeText,
  /** Of all agents together. */
  limits: z.object({
    requestsPerMinute: maybeCount,
    openStreams: maybeCount,
    bytesPerMinute: maybeCount,
    openWebsockets: maybeCount,
  }),
  environments: texts,
  /** Since when all agents are suspended; null: they are not. */
  agentsSuspendedAt: maybeText,
});
export type Workspace = z.infer<typeof workspace>;

const workspaceSummary = z.object({
  id: text,
  name: text,
  home: z.boolean(),
  createdAt: text,
  users: count,
  agents: count,
  secrets: count,
  setupEndsAt: maybeText,
});
export type WorkspaceSummary = z.infer<typeof workspaceSummary>;

const environment = z.object({ name: text, secrets: count, agents: count });
export type Environment = z.infer<typeof environment>;

const secret = z.object({
  id: text,
  provider: text,
  environment: text,
  label: text,
  origin: text,
  version: count,
  masked: text,
  /** The version that waits to be activated or thrown away. */
  candidate: maybeCount,
  createdAt: text,
  updatedAt: text,
  dueAt: text,
  /** What its provider refuses with it now; null: nothing. */
  refusals: z.nullable(
    z.object({
      calls: count,
      agents: count,
      status401: count,
      status403: count,
      status429: count,
      since: text,
      latest: text,
    }),
  ),
  /** Why calls with it are refused before it is opened; null: they are not. */
  misplaced: z.nullable(z.enum(["provider_changed", "provider_removed"])),
});
export type Secret = z.infer<typeof secret>;

const secretVersion = z.object({
  version: count,
  active: z.boolean(),
  candidate: z.boolean(),
  masked: text,
  origin: text,
  createdAt: text,
});
export type SecretVersion = z.infer<typeof secretVersion>;

const secretUse = z.object({
  version: count,
  agent: text,
  firstUsedAt: text,
  lastUsedAt: text,
  requests: count,
});
export type SecretUse = z.infer<typeof secretUse>;

const secretTest = z.object({
  ok: z.boolean(),
  status: z.nullable(count),
  reason: z.enum(["accepted", "refused", "unreachable", "no_test", "unexpected"]),
  checkedAt: text,
});
export type SecretTest = z.infer<typeof secretTest>;

const changedSecret = z.object({ id: text, version: count, masked: text });
const saved = z.object({ secret: changedSecret, test: z.nullable(secretTest) });
/** What came of a new value: `test` is null when the provider was not asked. */
export type Saved = z.infer<typeof saved>;

/** What an agent may do. Null: not limited. */
const scope = {
  providers: maybeTexts,
  rules: maybeTexts,
  allowedEndpoints: texts,
  addresses: maybeTexts,
  models: maybeTexts,
  scopeExpiresAt: maybeText,
  limits: z.object({
    requestsPerMinute: maybeCount,
    openStreams: maybeCount,
    bytesPerMinute: maybeCount,
  }),
};

const deployedAgent = {
  id: text,
  name: text,
  environment: text,
  ...scope,
  suspendedAt: maybeText,
  deployment: count,
  createdAt: text,
  deployedAt: text,
  expiresAt: maybeText,
};
const agent = z.object({
  ...deployedAgent,
  lastUsedAt: maybeText,
  requests24h: count,
  refusals24h: count,
  providersUsed: texts,
  idle: z.boolean(),
});
export type Agent = z.infer<typeof agent>;
export type ScopeFields = Pick<Agent, keyof typeof scope>;

/** What the workspace gives new agents at most. */
const newAgents = z.object({
  environments: maybeTexts,
  providers: maybeTexts,
  rules: maybeTexts,
  addresses: maybeTexts,
  models: maybeTexts,
  limits: scope.limits,
});
export type NewAgents = z.infer<typeof newAgents>;

const changedAgent = z.object(deployedAgent);
const deployment = z.object({ agent: changedAgent, token: text });
export type Deployment = z.infer<typeof deployment>;

const registration = z.object({
  id: text,
  createdAt: text,
  expiresAt: text,
  createdBy: maybeText,
});
export type Registration = z.infer<typeof registration>;

const madeRegistration = z.object({ registration, token: text });
export type MadeRegistration = z.infer<typeof madeRegistration>;

const scopeTemplate = z.object({ name: text, title: text, description: text, rules: texts });
export type ScopeTemplate = z.infer<typeof scopeTemplate>;

const dryRun = z.object({
  from: text,
  to: text,
  calls: count,
  refused: count,
  /** Of which too little is known to tell. */
  unknown: count,
  byReason: z.array(z.object({ reason: text, calls: count })),
  examples: z.array(
    z.object({
      method: text,
      provider: text,
      /** Empty, here and below: not known. */
      path: text,
      address: text,
      reason: text,
      calls: count,
    }),
  ),
});
export type DryRun = z.infer<typeof dryRun>;

const provider = z.object({
  name: text,
  title: text,
  kind: z.enum(["built-in", "custom"]),
  origin: maybeText,
  header: text,
  scheme: text,
  baseUrl: text,
  environments: texts,
  sensitiveEndpoints: texts,
  client: z.nullable(
    z.object({
      baseUrlVariable: z.optional(text),
      keyVariable: text,
      basePath: text,
      httpsOnly: z.optional(z.boolean()),
    }),
  ),
});
export type Provider = z.infer<typeof provider>;

const counts = { requests: count, errors: count, refusals: count };
const overview = z.object({
  from: text,
  to: text,
  stepSeconds: count,
  totals: z.object({ ...counts, activeStreams: count, providers: count, agents: count }),
  series: z.array(z.object({ at: text, ...counts, activeStreams: count })),
  byProvider: z.array(z.object({ provider: text, ...counts })),
  byAgent: z.array(z.object({ agent: text, ...counts })),
  attention: z.array(
    z.object({
      kind: z.enum([
        "key_refused",
        "unusual_use",
        "rotation_due",
        "agent_idle",
        "token_unused",
        "refusals_rising",
      ]),
      subject: text,
      since: maybeText,
      detail: maybeText,
    }),
  ),
  /** Which of the first steps are done; null: this user doesn't see all of it. */
  firstSteps: z.nullable(z.object({ key: z.boolean(), agent: z.boolean(), call: z.boolean() })),
});
export type Overview = z.infer<typeof overview>;

const activity = z.object({
  minute: text,
  agent: text,
  /** Empty: the requests named no provider that there is. */
  provider: text,
  requests: count,
  status2xx: count,
  status4xx: count,
  status5xx: count,
  refusals: count,
  broken: count,
  requestBytes: count,
  responseBytes: count,
  firstByteMsAverage: maybeCount,
  totalMsAverage: maybeCount,
  /** On whose behalf, as the agent said it. */
  contexts: z.array(z.object({ context: z.record(text, text), requests: count })),
});
export type Activity = z.infer<typeof activity>;

const callContext = z.object({
  minute: text,
  agent: text,
  /** Empty: the requests named no provider that there is. */
  provider: text,
  context: z.record(text, text),
  requests: count,
});
export type CallContext = z.infer<typeof callContext>;

const party = z.object({ kind: maybeText, id: maybeText, name: maybeText });
const event = z.object({
  id: text,
  at: text,
  actor: party,
  address: maybeText,
  method: maybeText,
  action: text,
  target: party,
  beforeHash: maybeText,
  afterHash: maybeText,
  result: text,
  /** JSON. */
  detail: maybeText,
  /** Its place in the signed log; null: not sealed yet. */
  index: maybeCount,
  erased: texts,
});
export type AuditEvent = z.infer<typeof event>;

const prunedBefore = z.nullable(z.object({ index: count, at: text, days: count }));
export type PrunedBefore = NonNullable<z.infer<typeof prunedBefore>>;

const checkpoint = z.object({
  verifierKey: text,
  checkpoint: maybeText,
  size: count,
  waiting: count,
});

const proof = z.object({
  event: z.record(text, z.unknown()),
  index: count,
  size: count,
  checkpoint: text,
  verifierKey: text,
});

const erasure = z.object({ parts: count, waiting: count, others: count });

function field(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null && name in body
    ? (body as Record<string, unknown>)[name]
    : undefined;
}

/** `{ [name]: thing }`. */
function one<T>(name: string, schema: z.ZodMiniType<T>): Read<T> {
  return (body) => schema.parse(field(body, name));
}

/** `{ [name]: things, nextCursor }`; a list that comes whole may leave the cursor out. */
function page<T>(name: string, schema: z.ZodMiniType<T>): Read<Page<T>> {
  const items = z.array(schema);
  return (body) => ({
    items: items.parse(field(body, name)),
    nextCursor: maybeText.parse(field(body, "nextCursor") ?? null),
    total: maybeCount.parse(field(body, "total") ?? null),
  });
}

export const read = {
  nothing: (): void => undefined,
  me: one("me", me),
  sessions: page("sessions", session),
  recoveryCodes: one("recoveryCodes", texts),
  link: (body: unknown): Link => link.parse(body),
  url: one("url", text),
  users: page("users", user),
  invitations: page("invitations", invitation),
  apiKeys: page("apiKeys", apiKey),
  key: one("key", text),
  workspace: one("workspace", workspace),
  newAgents: one("newAgents", newAgents),
  workspaces: page("workspaces", workspaceSummary),
  environments: page("environments", environment),
  secrets: page("secrets", secret),
  wholeSecret: one("secret", secret),
  secret: one("secret", changedSecret),
  saved: (body: unknown): Saved => saved.parse(body),
  versions: page("versions", secretVersion),
  use: page("use", secretUse),
  test: one("test", secretTest),
  agents: page("agents", agent),
  agent: one("agent", agent),
  changedAgent: one("agent", changedAgent),
  registrations: page("registrations", registration),
  madeRegistration: (body: unknown): MadeRegistration => madeRegistration.parse(body),
  scopeTemplates: page("templates", scopeTemplate),
  dryRun: one("dryRun", dryRun),
  deployment: (body: unknown): Deployment => deployment.parse(body),
  providers: page("providers", provider),
  overview: one("overview", overview),
  activity: page("activity", activity),
  events: (body: unknown) => ({
    ...page("events", event)(body),
    prunedBefore: prunedBefore.parse(field(body, "prunedBefore")),
  }),
  checkpoint: (body: unknown) => checkpoint.parse(body),
  proof: (body: unknown) => proof.parse(body),
  erasure: one("erasure", erasure),
  contexts: page("contexts", callContext),
} as const;
