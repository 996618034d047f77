// Backups of the whole instance: made by the service, sealed to public keys, restored into an empty database. What is sealed under the
// master key stays so in them, and the master key is never part of one.
export { createBackups, lastBackupAt, type Backup, type Backups } from "./backups.ts";
export { ContainerError, readContainer, type Contents, type Header } from "./container.ts";
export { passphraseIdentity } from "./passphrase.ts";
export {
  isIdentity,
  isRecipient,
  newIdentity,
  openStream,
  SealedError,
  sealStream,
  type OpenedBy,
  type SealedTo,
} from "./sealing.ts";
export { checkBackup, checkHeader, restore, type OpenBackup, type Restored } from "./restore.ts";
export { lookAtAudit, type AuditState } from "./audit-state.ts";
