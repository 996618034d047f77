// Password hashing with argon2id, on two dedicated threads: one for anonymous clients, whose networks take turns, and one for known
// users. On Node's thread pool, hashes would delay file and DNS look-ups. Must never let many requests delay the rest of the service.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { RequestError } from "../platform/errors.ts";
import { createFairQueue, takeTurn } from "../platform/fair-queue.ts";

// OWASP Password Storage Cheat Sheet: argon2id (the package's default) with 19 MiB, two passes, one lane.
export const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const ROOM = 64;
const WAIT_MS = 8_000;

/** For whom a password is hashed. */
export interface Requester {
  /** Whether a session, a one-time link or a known device shows who it is. */
  readonly known: boolean;
  /** Requesters with different keys take turns: a user's id, or the network of an anonymous client. */
  readonly key: string;
}

// The hash of no password. For an unknown user the password is compared with it, at the same cost.
const DUMMY_HASH =
  `$argon2id$v=19$m=${ARGON2.memoryCost},t=${ARGON2.timeCost},p=${ARGON2.parallelism}` +
  `$${Buffer.from("x3sproxy, nobody").toString("base64url")}$${"A".repeat(43)}`;

export interface PasswordHasher {
  /** The argon2id hash in PHC string format. Throws RequestError 503 `busy` when too many wait. */
  hash(password: string, by: Requester): Promise<string>;
  /** Whether `password` has this hash. Without a hash it takes as long and is false. Throws RequestError 503 `busy`. */
  verify(password: string, hash: string | undefined, by: Requester): Promise<boolean>;
}

export function createPasswordHasher(): PasswordHasher {
  const [hashAnonymous, hashKnown] = [createHashQueue(), createHashQueue()];
  const queueFor = (by: Requester) => (by.known ? hashKnown : hashAnonymous);
  return {
    hash: async (password, by) =>
      String(await queueFor(by)(by.key, { password: normalized(password) })),
    async verify(password, of, by) {
      const job = { password: normalized(password), of: of ?? DUMMY_HASH };
      return (await queueFor(by)(by.key, job)) === true && of !== undefined;
    },
  };
}

/** A thread and its queue. The next job starts only when the current one has ended, even if its client has left. */
function createHashQueue() {
  const thread = new PasswordThread();
  const queue = createFairQueue({ places: 1, room: ROOM });
  return (key: string, job: { password: string; of?: string }): Promise<string | boolean> =>
    takeTurn(queue, key, () => thread.run(job), { withinMs: WAIT_MS, late: busy });
}

/** The refusal when too many requests wait. */
export function busy(): RequestError {
  return new RequestError(503, "busy", "Too many sign-ins at once. Try again in a few seconds.");
}

/** A known user as a requester. */
export function requesterOf({ id }: { id: string }): Requester {
  return { known: true, key: id };
}

/** The normal form of a password: another system may send it in another Unicode form (NIST SP 800-63B, 5.1.1.2). */
export function normalized(password: string): string {
  return password.normalize("NFKC");
}

/** A password to hash or, with a hash in `of`, to verify. */
export interface Job {
  readonly password: string;
  readonly of?: string | undefined;
}
/** The hash, or whether the password has the hash `of`. */
export type Answer = string | boolean;

const CODE = new URL("password-worker.ts", import.meta.url);

/** Runs one job at a time: the caller waits for each answer. Keeps the process alive only during a job. */
class PasswordThread {
  #worker: Worker | undefined;

  /** Rejects when the job or the thread fails. The next call then starts a new thread. */
  async run(job: Job): Promise<Answer> {
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    const done = new AbortController();
    const { signal } = done;
    try {
      worker.postMessage(job);
      const ended = once(worker, "exit", { signal }).then(() => {
        throw new Error("the thread for passwords has ended");
      });
      const [answer] = (await Promise.race([once(worker, "message", { signal }), ended])) as [
        Answer,
      ];
      return answer;
    } catch (error) {
      this.#worker = undefined;
      throw error;
    } finally {
      done.abort();
      worker.unref();
    }
  }

  #start(): Worker {
    const worker = new Worker(CODE);
    worker.on("error", () => undefined); // `run` gets the error, too
    worker.once("exit", () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    return worker;
  }
}
