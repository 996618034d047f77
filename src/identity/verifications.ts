// Looking up credentials that somebody shows: a bounded number at once, for which networks take turns, so that junk costs the database
// little and refuses nobody. Those that have worked before pass at once. Must never keep a credential, only its hash, and must never
// answer for the database.
import { LRUCache } from "lru-cache";
import { RequestError } from "../platform/errors.ts";
import { createFairQueue, takeTurn } from "../platform/fair-queue.ts";

// One network may have half of the room.
const LINE = { places: 8, room: 4_096 };
// For what must not wait behind anything else.
const EMERGENCY = { places: 4, room: 4_096 };
const WAIT_MS = 5_000;
const MAX_REMEMBERED = 10_000;

export interface Verification<T> {
  /** Of the credential. */
  readonly hash: Buffer;
  /** Of whoever shows it. */
  readonly network: string;
  /** Whether it is for an emergency, which has a line of its own. */
  readonly emergency?: boolean;
  /** Undefined: there is no such credential. */
  readonly find: () => Promise<T | undefined>;
}

export interface Verifications {
  /** What `find` gives, when its turn has come. Throws RequestError 503 `busy` when that takes too long. */
  verify<T>(of: Verification<T>): Promise<T | undefined>;
}

export function createVerifications(): Verifications {
  const worked = new LRUCache<string, true>({ max: MAX_REMEMBERED });
  const [line, emergencies] = [createFairQueue(LINE), createFairQueue(EMERGENCY)];

  return {
    async verify({ hash, network, emergency = false, find }) {
      const key = hash.toString("base64");
      const found =
        worked.get(key) === true
          ? await find()
          : await takeTurn(emergency ? emergencies : line, network, find, LATE);
      if (found === undefined) worked.delete(key);
      else worked.set(key, true);
      return found;
    },
  };
}

const LATE = {
  withinMs: WAIT_MS,
  late: () =>
    new RequestError(503, "busy", "Too many requests at once. Try again in a few seconds."),
};
