// Backups of the whole installation: the service makes them, sealed to public keys; they are restored into an empty database. Secrets in
// them stay sealed under the master key. Must never contain the master key.
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
export {
  checkBackup,
  checkHeader,
  verifyAudit,
  restore,
  type AuditState,
  type OpenBackup,
  type Restored,
} from "./restore.ts";
