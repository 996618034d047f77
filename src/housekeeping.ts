// The housekeeping: all that is done again and again beside what clients ask for. One list: a job is a row, its work is its room's.
// Data-plane timers (deadlines, the cache, batches of activity) and the database's heartbeat belong to what they keep going, and aren't here.
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
import { LOCK, type Pool } from "./db/index.ts";
import { createFigures } from "./figures.ts";
import type { Job } from "./platform/jobs.ts";
import type { Log } from "./platform/log.ts";
import type { Metrics } from "./platform/metrics.ts";
import type { KeyRotation } from "./vault/index.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** `pool`: of the control role. In the order in which jobs do what they do last. */
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
      ...{ everyMs: HOUR_MS, withinMs: HOUR_MS, by: { lock: LOCK.activityPruning } },
      failure: "activity not pruned",
      run: (signal) => retention.prune(signal),
    },
    {
      name: "audit_pruning",
      ...{ everyMs: HOUR_MS, withinMs: HOUR_MS, by: { lock: LOCK.auditPruning } },
      failure: "the audit can't be pruned",
      run: async (signal) => tell("pruned the audit", await auditRetention.prune(signal)),
    },
    {
      name: "unused_tokens",
      ...{ everyMs: 5 * MINUTE_MS, withinMs: HOUR_MS, by: { lock: LOCK.unusedTokens } },
      failure: "unused tokens not ended",
      run: async (signal) => tell("ended unused tokens", await unusedTokens.expire(signal)),
    },
    {
      name: "token_ends",
      ...{ everyMs: MINUTE_MS, withinMs: HOUR_MS, by: { lock: LOCK.tokenEnds } },
      failure: "ends of tokens not recorded",
      run: (signal) => expiredTokens.record(signal),
    },
    {
      name: "figures",
      ...{ everyMs: 20 * SECOND_MS, withinMs: MINUTE_MS, by: "each process" },
      failure: "figures not renewed",
      run: () => figures.renew(),
    },
    certificate !== undefined && {
      name: "certificate",
      ...{ everyMs: MINUTE_MS, withinMs: MINUTE_MS, by: "each process" },
      failure: "the certificate can't be looked at",
      run: () => certificate.look(),
    },
    {
      // Each process says which keys it holds; one at a time, under the lock, rewraps.
      name: "key_rotation",
      ...{ everyMs: 2 * SECOND_MS, withinMs: HOUR_MS, by: { lock: LOCK.masterKeyRotation } },
      failure: "the master keys' state is unknown",
      run: (signal) => keyRotation.run(signal),
      last: () => keyRotation.close(),
    },
    {
      name: "audit_sealing",
      ...{ everyMs: SECOND_MS, withinMs: HOUR_MS, by: { lock: LOCK.auditSealing } },
      failure: "the audit's events can't be sealed",
      run: (signal) => sequencer.run(signal),
      last: () => sequencer.run(),
    },
    destinations.length > 0 && {
      // Each process sends by itself, so that none depends on another.
      name: "checkpoint_sending",
      ...{ everyMs: o.checkpoints.intervalMs, withinMs: MINUTE_MS, by: "each process" },
      failure: "the audit's checkpoints can't be read",
      run: () => sending.look(),
      last: () => sending.close(),
    },
  ];
  return jobs.filter((job) => job !== false);
}
