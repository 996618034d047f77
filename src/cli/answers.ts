// What the command line reads of the admin API's answers; what more there is in them is left alone.
import { z } from "zod";

export const secretView = z.looseObject({
  id: z.string(),
  provider: z.string(),
  environment: z.string(),
  label: z.string(),
  version: z.number(),
  masked: z.string(),
  candidate: z.number().nullable(),
  updatedAt: z.string(),
  refusals: z.object({ calls: z.number(), agents: z.number(), since: z.string() }).nullable(),
  misplaced: z.enum(["provider_changed", "provider_removed"]).nullable(),
});
const keyTest = z.looseObject({
  reason: z.enum(["accepted", "refused", "unreachable", "no_test", "unexpected"]),
  status: z.number().nullable(),
});
export type KeyTest = z.infer<typeof keyTest>;
export type SecretView = z.infer<typeof secretView>;

export const agentView = z.looseObject({
  name: z.string(),
  environment: z.string(),
  providers: z.array(z.string()).nullable(),
  rules: z.array(z.string()).nullable(),
  allowedEndpoints: z.array(z.string()),
  addresses: z.array(z.string()).nullable(),
  models: z.array(z.string()).nullable(),
  scopeExpiresAt: z.string().nullable(),
  limits: z.object({
    requestsPerMinute: z.number().nullable(),
    openStreams: z.number().nullable(),
    bytesPerMinute: z.number().nullable(),
  }),
  suspendedAt: z.string().nullable(),
  deployment: z.number(),
  deployedAt: z.string(),
  expiresAt: z.string().nullable(),
});
export type AgentView = z.infer<typeof agentView>;

const registrationView = z.looseObject({
  id: z.string(),
  agent: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  createdBy: z.string(),
});
const leaseView = z.looseObject({ id: z.string(), expiresAt: z.string() });

const clientSettings = z.object({
  baseUrlVariable: z.string().optional(),
  keyVariable: z.string(),
  basePath: z.string(),
  httpsOnly: z.boolean().optional(),
});
const placeOfKey = { header: z.string(), scheme: z.string() };

const providerView = z.looseObject({
  ...placeOfKey,
  name: z.string(),
  kind: z.enum(["built-in", "custom"]),
  origin: z.string().nullable(),
  baseUrl: z.string(),
  environments: z.array(z.string()),
  client: clientSettings.nullable(),
});
export type ProviderView = z.infer<typeof providerView>;

const userView = z.looseObject({
  id: z.string(),
  email: z.string(),
  role: z.string(),
  agents: z.array(z.string()).nullable(),
  secondFactor: z.boolean(),
  lastSignInAt: z.string().nullable(),
});
export type UserView = z.infer<typeof userView>;

const dryRun = z.looseObject({
  from: z.string(),
  calls: z.number(),
  refused: z.number(),
  unknown: z.number(),
  examples: z.array(
    z.object({
      method: z.string(),
      provider: z.string(),
      path: z.string(),
      address: z.string(),
      reason: z.string(),
      calls: z.number(),
    }),
  ),
});
export type DryRun = z.infer<typeof dryRun>;

const workspaceView = z.looseObject({
  name: z.string(),
  secondFactorRequired: z.boolean(),
  rotationDays: z.number(),
  idleDays: z.number(),
  unusedDays: z.number().nullable(),
  auditRetentionDays: z.number().nullable(),
  auditRetentionFrom: z.string().nullable(),
  limits: z.object({
    requestsPerMinute: z.number().nullable(),
    openStreams: z.number().nullable(),
    bytesPerMinute: z.number().nullable(),
    openWebsockets: z.number().nullable(),
  }),
  agentsSuspendedAt: z.string().nullable(),
});
export type WorkspaceView = z.infer<typeof workspaceView>;

const newAgentsView = agentView
  .pick({ providers: true, rules: true, addresses: true, models: true, limits: true })
  .extend({ environments: z.array(z.string()).nullable() });

const contextView = z.looseObject({
  minute: z.string(),
  agent: z.string(),
  provider: z.string(),
  context: z.record(z.string(), z.string()),
  requests: z.number(),
});

const masterKeysView = z.object({
  masterKeys: z.array(
    z.looseObject({
      id: z.string(),
      active: z.boolean(),
      createdAt: z.string(),
      activatedAt: z.string().nullable(),
      sealed: z.number(),
      heldBy: z.number(),
    }),
  ),
  rotation: z.object({
    to: z.string(),
    state: z.enum(["running", "done"]),
    rewrapped: z.number(),
    left: z.number(),
    unreadable: z.number(),
  }),
  processes: z.array(z.looseObject({ id: z.string(), masterKeys: z.array(z.string()) })),
});
export type MasterKeysView = z.infer<typeof masterKeysView>;

export const answers = {
  secret: z.object({ secret: secretView }),
  saved: z.object({ secret: secretView, test: keyTest.nullable() }),
  agent: z.object({ agent: agentView }),
  agentCount: z.object({ total: z.number() }),
  dryRun: z.object({ dryRun }),
  deployment: z.object({
    agent: agentView,
    token: z.string(),
    expiresAt: z.string().nullable(),
    baseUrls: z.record(z.string(), z.string()),
  }),
  newRegistration: z.object({ registration: registrationView, token: z.string() }),
  registration: z.object({ registration: registrationView }),
  registrations: z.object({ registrations: z.array(registrationView) }),
  lease: z.object({
    lease: leaseView,
    agent: agentView,
    token: z.string(),
    baseUrls: z.record(z.string(), z.string()),
  }),
  renewedLease: z.object({ lease: leaseView }),
  provider: z.object({
    provider: z.looseObject({ name: z.string(), origin: z.string(), ...placeOfKey }),
  }),
  providers: z.object({ providers: z.array(providerView) }),
  users: z.object({ users: z.array(userView), nextCursor: z.string().nullable() }),
  invitation: z.object({
    invitation: z.looseObject({ email: z.string(), expiresAt: z.string() }),
    url: z.string(),
  }),
  reset: z.object({ url: z.string(), expiresAt: z.string() }),
  workspace: z.object({ workspace: workspaceView }),
  newAgents: z.object({ newAgents: newAgentsView }),
  contexts: z.object({ contexts: z.array(contextView), nextCursor: z.string().nullable() }),
  templates: z.object({
    templates: z.array(z.object({ name: z.string(), rules: z.array(z.string()) })),
  }),
  checkpoint: z.object({
    origin: z.string(),
    verifierKey: z.string(),
    checkpoint: z.string().nullable(),
    size: z.number(),
    waiting: z.number(),
  }),
  erasure: z.object({
    erasure: z.looseObject({ parts: z.number(), waiting: z.number(), others: z.number() }),
  }),
  masterKeys: masterKeysView,
  nothing: z.undefined(),
};
