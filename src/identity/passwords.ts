// Password hashing: argon2id, a few at a time. Must never let a rush of requests fill the thread pool, which file and
// name look-ups share.
import { hash } from "@node-rs/argon2";
import { RequestError } from "../errors.ts";

const AT_A_TIME = 2;
const MAX_WAITING = 8;
// OWASP Password Storage Cheat Sheet: argon2id (this package's default) with 19 MiB, two passes, one lane.
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export const PASSWORD_MIN_LENGTH = 12;
export const PASSWORD_MAX_LENGTH = 1024;

export interface PasswordHasher {
  /** The argon2id hash in PHC form. Throws RequestError: 422 for a password of the wrong length, 503 when too many wait. */
  hash(password: string): Promise<string>;
}

export function createPasswordHasher(): PasswordHasher {
  let running = 0;
  const waiting: (() => void)[] = [];

  async function acquire(): Promise<void> {
    if (running < AT_A_TIME) {
      running++;
      return;
    }
    if (waiting.length >= MAX_WAITING) {
      throw new RequestError(503, "busy", "Too many sign-ins at once. Try again in a few seconds.");
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  }

  // A permit passes straight to the next in line, so that nobody can step in between.
  function release(): void {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }

  return {
    async hash(password) {
      // The same password typed on another system may come in another Unicode form (NIST SP 800-63B, 5.1.1.2).
      const normalized = password.normalize("NFKC");
      checkLength(Array.from(normalized).length);
      await acquire();
      try {
        return await hash(normalized, ARGON2);
      } finally {
        release();
      }
    },
  };
}

function checkLength(length: number): void {
  if (length >= PASSWORD_MIN_LENGTH && length <= PASSWORD_MAX_LENGTH) return;
  throw new RequestError(
    422,
    length < PASSWORD_MIN_LENGTH ? "password_too_short" : "password_too_long",
    `Give a password of ${PASSWORD_MIN_LENGTH} to ${PASSWORD_MAX_LENGTH} characters.`,
  );
}
