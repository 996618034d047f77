// Second factors: a user's TOTP seed, sealed by the vault, and ten hashed recovery codes. Each code must work only once, also when it
// is sent several times at once to several processes: one statement checks it and uses it up.
import { hash, randomInt } from "node:crypto";
import type { Clock } from "../platform/clock.ts";
import type { TransactionSql } from "../db/index.ts";
import type { SealedValue, Vault } from "../vault/index.ts";

export type CodeKind = "totp" | "recovery_code";

interface UserKey {
  readonly workspaceId: string;
  readonly userId: string;
}

/** `sql`: a transaction confined to the user's workspace. */
export interface SecondFactors {
  has(sql: TransactionSql, userId: string): Promise<boolean>;
  /** Uses a code up and returns its kind; undefined when the code isn't valid now. */
  redeem(sql: TransactionSql, user: UserKey, code: string): Promise<CodeKind | undefined>;
  /** Replaces the user's seed by `seed` (base32), if `code` is a valid code of the new seed. False: it isn't. */
  enrol(sql: TransactionSql, user: UserKey, seed: string, code: string): Promise<boolean>;
  remove(sql: TransactionSql, userId: string): Promise<void>;
  /** Replaces all recovery codes by ten new ones and returns them, the only time that they are shown. */
  renewRecoveryCodes(sql: TransactionSql, user: UserKey): Promise<string[]>;
}

const RECOVERY_CODES = 10;
// Crockford's base32, in which no two characters look alike. Twelve characters have 60 bits.
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const LOOK_ALIKES: Readonly<Record<string, string>> = { o: "0", i: "1", l: "1" };
const RECOVERY_CODE = /^[0-9a-hjkmnp-tv-z]{12}$/;

export function createSecondFactors(o: {
  vault: Pick<Vault, "sealSeed" | "matchingStep">;
  clock: Clock;
}): SecondFactors {
  const { vault, clock } = o;

  async function redeemTotp(sql: TransactionSql, user: UserKey, code: string): Promise<boolean> {
    const { userId } = user;
    const [sealed] = await sql<SealedValue[]>`
      select key_id as "keyId", wrapped_key as "wrappedKey", ciphertext
      from x3sproxy.second_factors where user_id = ${userId}`;
    if (sealed === undefined) return false;
    const step = vault.matchingStep(user, sealed, { code, nowMs: clock.nowMs() });
    if (step === undefined) return false;
    const { count } = await sql`
      update x3sproxy.second_factors set newest_step = ${step}
      where user_id = ${userId} and newest_step < ${step}`;
    return count === 1;
  }

  async function redeemRecoveryCode(sql: TransactionSql, userId: string, code: string) {
    const { count } = await sql`
      delete from x3sproxy.recovery_codes
      where user_id = ${userId} and hash = ${recoveryHash(userId, code)}`;
    return count === 1;
  }

  return {
    async has(sql, userId) {
      return (await sql`select from x3sproxy.second_factors where user_id = ${userId}`).count === 1;
    },

    async redeem(sql, user, code) {
      const bare = code.toLowerCase().replace(/[\s-]/g, "");
      if (/^\d{6}$/.test(bare)) {
        return (await redeemTotp(sql, user, bare)) ? "totp" : undefined;
      }
      const read = bare.replace(/[oil]/g, (character) => LOOK_ALIKES[character] ?? character);
      if (!RECOVERY_CODE.test(read)) return undefined;
      return (await redeemRecoveryCode(sql, user.userId, read)) ? "recovery_code" : undefined;
    },

    async enrol(sql, user, seed, code) {
      const { workspaceId, userId } = user;
      const sealed = vault.sealSeed(user, seed.toUpperCase());
      const step = vault.matchingStep(user, sealed, { code, nowMs: clock.nowMs() });
      if (step === undefined) return false;
      const { keyId, wrappedKey, ciphertext } = sealed;
      await sql`delete from x3sproxy.second_factors where user_id = ${userId}`;
      await sql`
        insert into x3sproxy.second_factors
          (user_id, workspace_id, key_id, wrapped_key, ciphertext, newest_step)
        values (${userId}, ${workspaceId}, ${keyId}, ${wrappedKey}, ${ciphertext}, ${step})`;
      return true;
    },

    async remove(sql, userId) {
      await sql`delete from x3sproxy.second_factors where user_id = ${userId}`;
      await sql`delete from x3sproxy.recovery_codes where user_id = ${userId}`;
    },

    async renewRecoveryCodes(sql, { workspaceId, userId }) {
      await sql`delete from x3sproxy.recovery_codes where user_id = ${userId}`;
      const codes = Array.from({ length: RECOVERY_CODES }, newRecoveryCode);
      for (const code of codes) {
        await sql`
          insert into x3sproxy.recovery_codes (hash, workspace_id, user_id)
          values (${recoveryHash(userId, code)}, ${workspaceId}, ${userId})`;
      }
      return codes.map((code) => code.replace(/.{4}(?=.)/g, "$&-"));
    },
  };
}

function newRecoveryCode(): string {
  return Array.from({ length: 12 }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join("");
}

/** The hash includes the user, so that each guess tests the codes of one user only. */
function recoveryHash(userId: string, code: string): Buffer {
  return hash("sha256", `x3sproxy recovery code ${userId} ${code}`, "buffer");
}
