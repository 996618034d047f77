// How this room recognises and stores the bearer credentials that it issues.
import { hashBearer, SESSION_PREFIX } from "../ids.ts";

const SUFFIX = /^[A-Za-z0-9]{32}$/;
const SESSION_SUFFIX = /^[A-Za-z0-9_-]{43}$/;

/** Whether `text` has the exact form of a credential with `prefix`: anything else never reaches the database. */
export function isBearer(text: string, prefix: string): boolean {
  return text.startsWith(prefix) && SUFFIX.test(text.slice(prefix.length));
}

/** Whether `text` has the exact form of a session's value. */
export function isSessionValue(text: string): boolean {
  return text.startsWith(SESSION_PREFIX) && SESSION_SUFFIX.test(text.slice(SESSION_PREFIX.length));
}

/** The 32 bytes of SHA-256 that a row keeps in place of the credential. */
export function digest(bearer: string): Buffer {
  return Buffer.from(hashBearer(bearer), "hex");
}
