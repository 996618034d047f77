// Password hashing: argon2id, on threads of their own: one for strangers, whose networks take turns, and one for those who are known.
// Must never let a rush of requests hold up the rest.
import { RequestError } from "../platform/errors.ts";
import { createFairQueue, takeTurn } from "../platform/fair-queue.ts";
import { ARGON2, PasswordThread } from "./password-thread.ts";

const ROOM = 64;
const WAIT_MS = 8_000;

/** Who waits for a hash. */
export interface Line {
  /** Whether it is somebody, by a session, a link or a device that is known, and no stranger. */
  readonly known: boolean;
  /** Whose turn it is: a user's id, or a stranger's network. */
  readonly key: string;
}

// The hash of no password: what the one of a user that does not exist is compared with, at the same cost.
const NOBODYS_HASH =
  `$argon2id$v=19$m=${ARGON2.memoryCost},t=${ARGON2.timeCost},p=${ARGON2.parallelism}` +
  `$${Buffer.from("x3sproxy, nobody").toString("base64url")}$${"A".repeat(43)}`;

export interface PasswordHasher {
  /** The argon2id hash in PHC form. Throws RequestError 503 `busy` when too many wait. */
  hash(password: string, line: Line): Promise<string>;
  /** Whether `password` is the one of `hash`; without a hash it takes as long and is not. Throws RequestError 503 `busy`. */
  verify(password: string, hash: string | undefined, line: Line): Promise<boolean>;
}

export function createPasswordHasher(): PasswordHasher {
  const [strangers, known] = [createLine(), createLine()];
  const lineFor = (line: Line) => (line.known ? known : strangers);
  return {
    hash: async (password, line) =>
      String(await lineFor(line)(line.key, { password: normalized(password) })),
    async verify(password, of, line) {
      const job = { password: normalized(password), of: of ?? NOBODYS_HASH };
      return (await lineFor(line)(line.key, job)) === true && of !== undefined;
    },
  };
}

/** A thread, and whoever waits for it. The next begins only once a hash has ended, whoever has gone meanwhile. */
function createLine() {
  const thread = new PasswordThread();
  const queue = createFairQueue({ places: 1, room: ROOM });
  return (key: string, job: { password: string; of?: string }): Promise<string | boolean> =>
    takeTurn(queue, key, () => thread.run(job), { withinMs: WAIT_MS, late: busy });
}

/** Too many wait. */
export function busy(): RequestError {
  return new RequestError(503, "busy", "Too many sign-ins at once. Try again in a few seconds.");
}

/** The line of somebody who is known. */
export function lineOf({ id }: { id: string }): Line {
  return { known: true, key: id };
}

/** The same password typed on another system may come in another Unicode form (NIST SP 800-63B, 5.1.1.2). */
export function normalized(password: string): string {
  return password.normalize("NFKC");
}
