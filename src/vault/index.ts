// The vault: seals real keys, keeps them sealed in the database, opens one for as long as it is in use and sets it on a
// request. No verb of it returns a key in the open.
export { MasterKey, loadMasterKey } from "./master-key.ts";
export { verifyMasterKey } from "./master-key-check.ts";
export { createVault } from "./strongroom.ts";
export type { HeldSecret, Injection, ReleasedSecret, SealedSecret, Vault } from "./strongroom.ts";
export type { SealedValue } from "./sealing.ts";
export type { SeedOwner } from "./second-factor.ts";
export { createSecrets } from "./secrets.ts";
export type { NewSecret, SecretVersionView, SecretView, Secrets } from "./secrets.ts";
export { createKeyTests } from "./key-tests.ts";
export type { CallProvider, KeyTest, KeyTests } from "./key-tests.ts";
export { openLogSigner } from "./log-signer.ts";
export { missingKeys, type NeededKey } from "./needed-keys.ts";
