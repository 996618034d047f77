// The TOTP seeds of second factors: each is sealed for one user, and opened only while one code is checked. Must never return a seed,
// nor a code made from it.
import { Secret, TOTP } from "otpauth";
import type { KeyRing } from "./master-key.ts";
import { sealBytes, unsealBytes, zero, type Binding, type SealedValue } from "./sealing.ts";

/** Whose seed it is. Both fields are authenticated, so the seed opens for no other user. */
export interface SeedOwner {
  readonly workspaceId: string;
  readonly userId: string;
}

// The defaults of authenticator apps (RFC 6238, and the key URI format).
const STEP_S = 30;
const KIND = { algorithm: "SHA1", digits: 6, period: STEP_S } as const;
// Allow one step before and after, for clocks that differ (RFC 6238, 5.2).
const WINDOW = 1;
const CODE = /^[0-9]{6}$/;

/** `seed`: base32 (RFC 4648). */
export function sealSeed(ring: KeyRing, owner: SeedOwner, seed: string): SealedValue {
  const { bytes } = Secret.fromBase32(seed);
  try {
    return sealBytes(ring.active, seedBinding(owner), bytes);
  } finally {
    zero(bytes);
  }
}

/** The time step to which `code` belongs: the current one, the one before or the one after; undefined when the code is wrong. */
export function matchingStep(
  ring: KeyRing,
  owner: SeedOwner,
  sealed: SealedValue,
  { code, nowMs }: { code: string; nowMs: number },
): number | undefined {
  if (!CODE.test(code)) return undefined;
  const seed = unsealBytes(ring, seedBinding(owner), sealed);
  try {
    const secret = new Secret({ buffer: Uint8Array.from(seed).buffer });
    const delta = TOTP.validate({ ...KIND, token: code, secret, timestamp: nowMs, window: WINDOW });
    zero(secret.bytes);
    return delta === null ? undefined : Math.floor(nowMs / 1000 / STEP_S) + delta;
  } finally {
    zero(seed);
  }
}

/** What a user's seed is bound to. */
export function seedBinding({ workspaceId, userId }: SeedOwner): Binding {
  return {
    purposes: {
      dataKey: "x3sproxy second factor data key v1",
      value: "x3sproxy second factor seed",
    },
    fields: [workspaceId, userId],
    row: `the second factor of user ${userId}`,
  };
}
