// The bearer credentials that this room issues: their form, the hash that a row stores, and bounded look-ups of credentials that
// clients present. Networks take turns, so that invalid ones cost the database little and delay nobody. Must never keep a credential,
// only its hash, and must never answer in the database's place.
import { LRUCache } from "lru-cache";
import { RequestError } from "../platform/errors.ts";
import { createFairQueue, takeTurn } from "../platform/fair-queue.ts";
import { hashBearer, SESSION_PREFIX, SESSION_SECRET_PREFIX } from "../platform/ids.ts";
import type { SessionCredential } from "./caller.ts";

const SUFFIX = /^[A-Za-z0-9]{32}$/;
const SESSION_SUFFIX = /^[A-Za-z0-9_-]{43}$/;

/** Whether `text` has the exact form of a credential with `prefix`. Anything else is refused without asking the database. */
export function isBearer(text: string, prefix: string): boolean {
  return text.startsWith(prefix) && SUFFIX.test(text.slice(prefix.length));
}

/** Whether both parts have the exact form of a session credential's. */
export function isSession({ value, secret }: SessionCredential): boolean {
  return [
    [value, SESSION_PREFIX],
    [secret, SESSION_SECRET_PREFIX],
  ].every(
    ([text = "", prefix = ""]) =>
      text.startsWith(prefix) && SESSION_SUFFIX.test(text.slice(prefix.length)),
  );
}

/** The hash of both parts together, which a session's row stores. So nobody can test one part without having the other. */
export function digestSession({ value, secret }: SessionCredential): Buffer {
  return digest(`${value} ${secret}`);
}

/** The SHA-256 of a credential, 32 bytes, which a row stores in its place. */
export function digest(bearer: string): Buffer {
  return Buffer.from(hashBearer(bearer), "hex");
}

const QUEUE = { places: 8, room: 4_096 };
const EMERGENCY_QUEUE = { places: 4, room: 4_096 };
const WAIT_MS = 5_000;
const MAX_REMEMBERED = 10_000;

export interface Verification<T> {
  /** The credential's hash. */
  readonly hash: Buffer;
  /** The network of the client. */
  readonly network: string;
  /** Emergency actions have their own queue. */
  readonly emergency?: boolean;
  /** Looks the credential up; undefined: there is none. */
  readonly find: () => Promise<T | undefined>;
}

export interface Verifications {
  /**
   * The result of `find`. It is called at once for a credential that was found lately, else when the network's turn comes. Throws
   * RequestError 503 `busy` when that takes too long.
   */
  verify<T>(of: Verification<T>): Promise<T | undefined>;
}

export function createVerifications(): Verifications {
  const foundLately = new LRUCache<string, true>({ max: MAX_REMEMBERED });
  const [queue, emergencies] = [createFairQueue(QUEUE), createFairQueue(EMERGENCY_QUEUE)];

  return {
    async verify({ hash, network, emergency = false, find }) {
      const key = hash.toString("base64");
      const found =
        foundLately.get(key) === true
          ? await find()
          : await takeTurn(emergency ? emergencies : queue, network, find, LATE);
      if (found === undefined) foundLately.delete(key);
      else foundLately.set(key, true);
      return found;
    },
  };
}

const LATE = {
  withinMs: WAIT_MS,
  late: () =>
    new RequestError(503, "busy", "Too many requests at once. Try again in a few seconds."),
};
