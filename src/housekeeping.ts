// The list of background jobs; platform/jobs.ts runs it, and the work itself stands in each job's room. To add one: a row here, its name in
// JOB_NAMES (platform/metric-labels.ts) and docs/monitoring.md, and a lock in db/locks.ts if only one process at a time may do it; its
// statements take that lock. Timers of the data plane (deadlines, the cache, batches of activity) and the database's heartbeat are not jobs.
import { createExpiredTokens, createUnusedTokens } from "./agents/index.ts";
import { createRetention } from "./activity/index.ts";
import {
  createAuditRetention,
  createCheckpointSending,
  destinationsOf,
  type Sequencer,
} from "./audit/index.ts";
import type { Certificate } from "./platform/certificate.ts";
import type { Clock } from "./platform/clock.ts";
import type { CheckpointSettings } from "./platform/config.ts";
import type { Pool } from "./db/index.ts";
import { createFigures } from "./figures.ts";
import type { Job } from "./platform/jobs.ts";
import type { Log } from "./platform/log.ts";
import type { Metrics } from "./platform/metrics.ts";
import type { KeyRotation } from "./vault/index.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** `pool` is the control role's. The order is that of each job's `last` when the service stops. */
export function housekeepingJobs(o: {
  pool: Pool;
  checkpoints: CheckpointSettings;
  certificate: Certificate | undefined;
  keyRotation: KeyRotation;
  sequencer: Sequencer;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): Job[] {
  const { pool, certificate, keyRotation, sequencer, log, metrics } = o;
  const retention = createRetention({ pool });
  const auditRetention = createAuditRetention({ pool });
  const expiredTokens = createExpiredTokens({ pool });
  const unusedTokens = createUnusedTokens({ pool });
  const figures = createFigures(o);
  const destinations = destinationsOf(o.checkpoints);
  const sending = createCheckpointSending({ pool, destinations, log, metrics });
  const tell = (message: string, count: number): void => {
    if (count > 0) log.info(message, { count });
  };
  const jobs: (Job | false)[] = [
    {
      name: "activity_pruning",
      everyMs: HOUR_MS,
      withinMs: HOUR_MS,
      failure: "activity not pruned",
      run: (signal) => retention.prune(signal),
    },
    {
      name: "audit_pruning",
      everyMs: HOUR_MS,
      withinMs: HOUR_MS,
      failure: "the audit can't be pruned",
      run: async (signal) => tell("pruned the audit", await auditRetention.prune(signal)),
    },
    {
      name: "unused_tokens",
      everyMs: 5 * MINUTE_MS,
      withinMs: HOUR_MS,
      failure: "unused tokens not ended",
      run: async (signal) => tell("ended unused tokens", await unusedTokens.expire(signal)),
    },
    {
      name: "token_ends",
      everyMs: MINUTE_MS,
      withinMs: HOUR_MS,
      failure: "ends of tokens not recorded",
      run: (signal) => expiredTokens.record(signal),
    },
    {
      name: "figures",
      everyMs: 20 * SECOND_MS,
      withinMs: MINUTE_MS,
      failure: "figures not renewed",
      run: () => figures.renew(),
    },
    certificate !== undefined && {
      name: "certificate",
      everyMs: MINUTE_MS,
      withinMs: MINUTE_MS,
      failure: "the certificate can't be looked at",
      run: () => certificate.look(),
    },
    {
      // Each process says which keys it holds; one at a time, under the lock, rewraps.
      name: "key_rotation",
      everyMs: 2 * SECOND_MS,
      withinMs: HOUR_MS,
      failure: "the master keys' state is unknown",
      run: (signal) => keyRotation.run(signal),
      last: () => keyRotation.close(),
    },
    {
      name: "audit_sealing",
      everyMs: SECOND_MS,
      withinMs: HOUR_MS,
      failure: "the audit's events can't be sealed",
      run: (signal) => sequencer.run(signal),
      last: () => sequencer.run(),
    },
    destinations.length > 0 && {
      // Each process sends by itself, so that none depends on another.
      name: "checkpoint_sending",
      everyMs: o.checkpoints.intervalMs,
      withinMs: MINUTE_MS,
      failure: "the audit's checkpoints can't be read",
      run: () => sending.look(),
      last: () => sending.close(),
    },
  ];
  return jobs.filter((job) => job !== false);
}
