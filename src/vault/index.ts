// The vault: seals real keys, stores them sealed, opens a key only while it is in use, and sets it on a request. No function of
// this room may return the plaintext of a key.
export { KeyRing, MasterKey } from "./master-key.ts";
export { generateMasterKey, loadMasterKeys } from "./key-sources.ts";
export { checkMasterKeys, missingKeys, verifyMasterKeys, type NeededKey } from "./key-check.ts";
export { createKeyRotation, type KeyRotation } from "./rotation.ts";
export { createMasterKeys } from "./master-keys.ts";
export type { MasterKeys, MasterKeysView } from "./master-keys.ts";
export { openDerivation, openLogSigner } from "./service-keys.ts";
export { createVault } from "./strongroom.ts";
export type { HeldSecret, Injection, ReleasedSecret, SealedSecret, Vault } from "./strongroom.ts";
export type { SealedValue } from "./sealing.ts";
export type { SeedOwner } from "./second-factor.ts";
export { createSecrets } from "./secrets.ts";
export type { NewSecret, SecretVersionView, Secrets } from "./secrets.ts";
export type { SecretFilter, SecretView } from "./secret-rows.ts";
export { createKeyTests } from "./key-tests.ts";
export type { CallProvider, KeyTest, KeyTests } from "./key-tests.ts";
