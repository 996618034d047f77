// The rooms behind the admin side, made and wired. The data plane uses none of them.
import { createActivityViews, createCallViews } from "./activity/index.ts";
import {
  createAgents,
  createCustomProviders,
  createEnvironments,
  createLeases,
  createNewAgents,
  createRegistrations,
  createScopeTrials,
} from "./agents/index.ts";
import {
  createAudit,
  createAuditProofs,
  createErasures,
  type LogSigner,
  type Sequencer,
} from "./audit/index.ts";
import type { Pool } from "./db/index.ts";
import { createIdentity } from "./identity/index.ts";
import type { Clock } from "./platform/clock.ts";
import type { Config } from "./platform/config.ts";
import type { Log } from "./platform/log.ts";
import { createAddressRule } from "./proxy/index.ts";
import { createMasterKeys, createSecrets, type Vault } from "./vault/index.ts";

/** The rooms that the admin side uses. None of them has to be stopped. */
export function createControlPlane(o: {
  config: Config;
  pool: Pool;
  vault: Vault;
  sequencer: Sequencer;
  signer: LogSigner;
  clock: Clock;
  log: Log;
}) {
  const { config, pool, vault, sequencer, signer, clock, log } = o;
  const { originOverrides } = config;
  const addressRule = createAddressRule(config.allowPrivateUpstreams);
  const originProblem = (origin: string): string | undefined => addressRule.originProblem(origin);
  return {
    identity: createIdentity({ pool, vault, clock }),
    secrets: createSecrets({ pool, vault, originOverrides, originProblem }),
    agents: createAgents({ pool, clock, vault }),
    registrations: createRegistrations({ pool, clock }),
    leases: createLeases({ pool, clock }),
    newAgents: createNewAgents({ pool }),
    customProviders: createCustomProviders({ pool, originProblem }),
    environments: createEnvironments({ pool }),
    audit: createAudit({ pool }),
    erasures: createErasures({ pool, sequencer }),
    auditProofs: createAuditProofs({ pool, signer, sequencer, clock, log }),
    activity: createActivityViews({ pool, clock }),
    calls: createCallViews({ pool, clock }),
    scopeTrials: createScopeTrials({ pool, clock }),
    masterKeys: createMasterKeys({ pool }),
  };
}
