// Helpers of the vault's tests: a fake key, a vault, a sealed sample, and what an injection would send.
import { randomBytes, randomUUID } from "node:crypto";
import {
  createVault,
  loadMasterKeys,
  type HeldSecret,
  type KeyRing,
  type SealedSecret,
  type Vault,
} from "../../src/vault/index.ts";

export const FAKE_KEY = "sk-ant-api03-FAKE-4f1Zq0vault-test-key-wxyz";
export const ORIGIN = "https://api.anthropic.com";
export const BARE = { header: "x-api-key", scheme: "" } as const;

/** The key ring for a value of X3SPROXY_MASTER_KEY. */
export function ringOf(value: string): Promise<KeyRing> {
  return loadMasterKeys(
    { masterKey: { value }, dataDir: "/nowhere", databaseUrl: undefined },
    { mayCreate: false },
  );
}

export async function freshVault(): Promise<Vault> {
  return createVault(await ringOf(randomBytes(32).toString("base64")));
}

export function samplePlace() {
  return { workspaceId: randomUUID(), secretId: randomUUID(), version: 1, origin: ORIGIN, ...BARE };
}

export function sealSample(vault: Vault, value = FAKE_KEY): SealedSecret {
  const place = samplePlace();
  return { ...place, provider: "anthropic", ...vault.seal(place, value) };
}

/** The value of the credential's header, as it would be sent. */
export function sent(vault: Vault, held: HeldSecret): string | undefined {
  const headers: string[] = [];
  vault.inject(held.release(), held.origin).applyTo(headers);
  return headers[1];
}
