// How this room recognises and stores the bearer credentials that it issues.
import { hashBearer, SESSION_PREFIX, SESSION_SECRET_PREFIX } from "../platform/ids.ts";
import type { SessionCredential } from "./caller.ts";

const SUFFIX = /^[A-Za-z0-9]{32}$/;
const SESSION_SUFFIX = /^[A-Za-z0-9_-]{43}$/;

/** Whether `text` has the exact form of a credential with `prefix`: anything else never reaches the database. */
export function isBearer(text: string, prefix: string): boolean {
  return text.startsWith(prefix) && SUFFIX.test(text.slice(prefix.length));
}

/** Whether both parts have the exact form of a session's. */
export function isSession({ value, secret }: SessionCredential): boolean {
  return [
    [value, SESSION_PREFIX],
    [secret, SESSION_SECRET_PREFIX],
  ].every(
    ([text = "", prefix = ""]) =>
      text.startsWith(prefix) && SESSION_SUFFIX.test(text.slice(prefix.length)),
  );
}

/**
 * The one hash that a session's row keeps of both parts: whoever lacks one of them learns nothing of the other, however it is compared.
 */
export function digestSession({ value, secret }: SessionCredential): Buffer {
  return digest(`${value} ${secret}`);
}

/** The 32 bytes of SHA-256 that a row keeps in place of the credential. */
export function digest(bearer: string): Buffer {
  return Buffer.from(hashBearer(bearer), "hex");
}
