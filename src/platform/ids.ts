// Makes, recognises and hashes identifiers and bearer credentials. Must never log or keep a credential.
import { hash, randomBytes, randomUUID } from "node:crypto";

declare const brand: unique symbol;
/** The SHA-256 of a bearer credential, lower-case hex: the only form in which the database keeps it. */
export type TokenHash = string & { readonly [brand]: "TokenHash" };

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SUFFIX_LENGTH = 32;
// The largest multiple of 62 within a byte. Bytes from there on are skipped, so that all characters are equally likely.
const UNBIASED_LIMIT = 248;

/** The prefixes of our bearer credentials. */
export const PROXY_TOKEN_PREFIX = "x3sproxy_";
export const REGISTRATION_PREFIX = "x3sreg_";
export const API_KEY_PREFIX = "x3skey_";
export const SETUP_TOKEN_PREFIX = "x3ssetup_";
export const LINK_TOKEN_PREFIX = "x3slink_";
export const SESSION_PREFIX = "x3ssess_";
export const SESSION_SECRET_PREFIX = "x3ssecret_";

const PROXY_TOKEN = /^x3sproxy_[A-Za-z0-9]{32}$/;

const ANY_BEARER = /x3s(?:proxy|key|reg|setup|link|sess|secret)_/i;

/** Whether `text` contains what may be one of our bearer credentials, whole or in part. */
export function mightBeBearer(text: string): boolean {
  return ANY_BEARER.test(text);
}

/** A fresh v4 UUID (RFC 9562). */
export function newId(): string {
  return randomUUID();
}

/** A name for this process, unique among all past and present ones: 12 hex digits. */
export function newProcessId(): string {
  return randomBytes(6).toString("hex");
}

/** `prefix` and 32 characters of A–Z a–z 0–9 (190 bits), from the system's cryptographic source, without modulo bias. */
export function newBearer(prefix: string): string {
  return bearerOf(prefix, randomBytes);
}

/** The same from other bytes: `next` gives more of them as often as needed. */
export function bearerOf(prefix: string, next: (lengthBytes: number) => Uint8Array): string {
  let suffix = "";
  while (suffix.length < SUFFIX_LENGTH) {
    for (const byte of next(SUFFIX_LENGTH * 2)) {
      if (byte < UNBIASED_LIMIT && suffix.length < SUFFIX_LENGTH) {
        suffix += ALPHABET.charAt(byte % ALPHABET.length);
      }
    }
  }
  return prefix + suffix;
}

/** `prefix` and 256 random bits, base64url: a session's credentials. */
export function newSessionValue(prefix: string): string {
  return prefix + randomBytes(32).toString("base64url");
}

/** Whether `text` has the exact form of an agent's token. It need not be a live one. */
export function isProxyToken(text: string): boolean {
  return PROXY_TOKEN.test(text);
}

/** Whether `text` contains the beginning of a token for agents. Such a text must go neither upstream nor into the log. */
export function holdsAgentToken(text: string): boolean {
  return (
    text.includes("x3s") &&
    (text.includes(PROXY_TOKEN_PREFIX) || text.includes(REGISTRATION_PREFIX))
  );
}

/** SHA-256 (FIPS 180-4) as lower-case hex. A 190-bit random token needs no salt and no slow hash. */
export function hashBearer(bearer: string): TokenHash {
  return hash("sha256", bearer, "hex") as TokenHash;
}
