// The audit records every change made through the control plane, in the transaction of the change. So there is no change without its
// event, and no event without its change. Must never record a secret, a token or a hash of one.
export { createAudit, type Audit, type AuditEventView, type PrunedView } from "./audit.ts";
export type { AuditFilter } from "./event-search.ts";
export { createErasures, type Erasure, type Erasures } from "./erasure.ts";
export {
  ACTIONS,
  createServiceEvents,
  record,
  recordMigrations,
  serviceActor,
  type Action,
  type Actor,
  type ChangeEvent,
  type ServiceEvents,
} from "./record.ts";
export { createAuditRetention, type AuditRetention } from "./retention.ts";
export { createSequencer, type Sequencer } from "./sequencer.ts";
export { createAuditProofs, type AuditProofs } from "./proofs.ts";
export { ExportVerifier, NotAnExportError } from "./verify.ts";
export type { VerifyReport } from "./verify-report.ts";
export { keptLines, readKeptCheckpoints, type GivenCheckpoint } from "./kept-checkpoints.ts";
export { isVerifierKey, type LogSigner } from "./note.ts";
export { createCheckpointSending, destinationsOf } from "./checkpoint-sending.ts";
export { verifyTree, type TreeState } from "./whole-tree.ts";
