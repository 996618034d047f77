// The vault: seals real keys, keeps them sealed in the database, opens one for as long as it is in use and sets it on a
// request. No verb of it returns a key in the open.
export { MasterKey } from "./master-key.ts";
export { KeyRing } from "./master-key.ts";
export { loadMasterKeys } from "./key-sources.ts";
export { generateMasterKey } from "./key-generation.ts";
export { checkMasterKeys, verifyMasterKeys } from "./key-check.ts";
export { createKeyRotation, type KeyRotation } from "./rotation.ts";
export { createMasterKeys } from "./master-keys.ts";
export type { MasterKeys, MasterKeysView } from "./master-keys.ts";
export { openDerivation } from "./service-keys.ts";
export { createVault } from "./strongroom.ts";
export type { HeldSecret, Injection, ReleasedSecret, SealedSecret, Vault } from "./strongroom.ts";
export type { SealedValue } from "./sealing.ts";
export type { SeedOwner } from "./second-factor.ts";
export { createSecrets } from "./secrets.ts";
export type { NewSecret, SecretFilter, SecretVersionView, Secrets } from "./secrets.ts";
export type { SecretView } from "./secret-rows.ts";
export { createKeyTests } from "./key-tests.ts";
export type { CallProvider, KeyTest, KeyTests } from "./key-tests.ts";
export { openLogSigner } from "./service-keys.ts";
export { missingKeys, type NeededKey } from "./key-check.ts";
