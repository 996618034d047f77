// The numbers of our advisory locks, in one place so that no two are the same.

export const LOCK = {
  migrations: 7_233_001,
  logins: 7_233_002,
  /** Taken in SQL, by x3sproxy.prune_activity. */
  activityPruning: 7_233_003,
  /** Taken in SQL, by x3sproxy.add_calls. */
  callsWriting: 7_233_004,
  /** Taken in SQL, by x3sproxy.expire_unused_tokens. */
  unusedTokens: 7_233_010,
  /** Taken in SQL, by x3sproxy.record_expired_tokens. */
  tokenEnds: 7_233_014,
  /** Held by a transaction that seals audit events. */
  auditSealing: 7_233_020,
  /** Taken in SQL, by x3sproxy.prune_audit. */
  auditPruning: 7_233_021,
  /** Taken in SQL, by x3sproxy.erase_person. */
  auditErasing: 7_233_022,
  /** Held by a session that makes a backup or migrates. */
  backup: 7_233_080,
  /** Held by a transaction that rewraps values sealed under an inactive master key. */
  masterKeyRotation: 7_233_017,
} as const;
