// Password hashing: argon2id, a few at a time, on threads of their own. Must never let a rush of requests hold up the rest.
import { RequestError } from "../errors.ts";
import { ARGON2, PasswordThread } from "./password-thread.ts";

const AT_A_TIME = 2;
const MAX_WAITING = 8;

// The hash of no password: what the one of a user that does not exist is compared with, at the same cost.
const NOBODYS_HASH =
  `$argon2id$v=19$m=${ARGON2.memoryCost},t=${ARGON2.timeCost},p=${ARGON2.parallelism}` +
  `$${Buffer.from("x3sproxy, nobody").toString("base64url")}$${"A".repeat(43)}`;

export interface PasswordHasher {
  /** The argon2id hash in PHC form. Throws RequestError 503 when too many wait. */
  hash(password: string): Promise<string>;
  /** Whether `password` is the one of `hash`; without a hash it takes as long and is not. Throws RequestError 503. */
  verify(password: string, hash: string | undefined): Promise<boolean>;
}

export function createPasswordHasher(): PasswordHasher {
  const idle = Array.from({ length: AT_A_TIME }, () => new PasswordThread());
  const waiting: ((thread: PasswordThread) => void)[] = [];

  async function acquire(): Promise<PasswordThread> {
    const thread = idle.pop();
    if (thread !== undefined) return thread;
    if (waiting.length >= MAX_WAITING) {
      throw new RequestError(503, "busy", "Too many sign-ins at once. Try again in a few seconds.");
    }
    return new Promise((resolve) => waiting.push(resolve));
  }

  // A thread passes straight to the next in line, so that nobody can step in between; and only once its hash has ended, whoever
  // has gone meanwhile.
  function release(thread: PasswordThread): void {
    const next = waiting.shift();
    if (next === undefined) idle.push(thread);
    else next(thread);
  }

  async function run(job: { password: string; of?: string }): Promise<string | boolean> {
    const thread = await acquire();
    try {
      return await thread.run(job);
    } finally {
      release(thread);
    }
  }

  return {
    hash: async (password) => String(await run({ password: normalized(password) })),
    async verify(password, of) {
      const right = await run({ password: normalized(password), of: of ?? NOBODYS_HASH });
      return right === true && of !== undefined;
    },
  };
}

/** The same password typed on another system may come in another Unicode form (NIST SP 800-63B, 5.1.1.2). */
export function normalized(password: string): string {
  return password.normalize("NFKC");
}
