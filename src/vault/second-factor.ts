// The seeds of second factors: sealed for one user, opened for as long as it takes to look at one code. No verb returns a seed, nor
// a code made from it.
import { Secret, TOTP } from "otpauth";
import type { KeyRing } from "./master-key.ts";
import { sealBytes, unsealBytes, zero, type Binding, type SealedValue } from "./sealing.ts";

/** Whose seed it is. Both fields are authenticated: it opens for nobody else. */
export interface SeedOwner {
  readonly workspaceId: string;
  readonly userId: string;
}

// What authenticator apps take for granted (RFC 6238, and the key URI format that they read).
const STEP_S = 30;
const KIND = { algorithm: "SHA1", digits: 6, period: STEP_S } as const;
// One step either way for clocks that differ (RFC 6238, 5.2).
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

/** The time step whose code `code` is, of this one, the one before and the one after; undefined when it is of none. */
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

/** Of a user's seed. */
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
