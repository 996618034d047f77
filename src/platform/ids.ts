// Identifiers and bearer credentials: how they are made, recognised and hashed. Must never log or keep one.
import { hash, randomBytes, randomUUID } from "node:crypto";

declare const brand: unique symbol;
/** The SHA-256 of a bearer credential, lower-case hex: the only form in which one is kept. */
export type TokenHash = string & { readonly [brand]: "TokenHash" };

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SUFFIX_LENGTH = 32;
// The largest multiple of 62 that fits a byte: bytes above it are thrown away, so that no character is likelier.
const UNBIASED_LIMIT = 248;

/** Prefixes of the bearer credentials that we issue. */
export const PROXY_TOKEN_PREFIX = "x3sproxy_";
export const REGISTRATION_PREFIX = "x3sreg_";
export const API_KEY_PREFIX = "x3skey_";
export const SETUP_TOKEN_PREFIX = "x3ssetup_";
export const LINK_TOKEN_PREFIX = "x3slink_";
export const SESSION_PREFIX = "x3ssess_";
export const SESSION_SECRET_PREFIX = "x3ssecret_";

const PROXY_TOKEN = /^x3sproxy_[A-Za-z0-9]{32}$/;

const ANY_BEARER = /x3s(?:proxy|key|reg|setup|link|sess|secret)_/i;

/** Whether there is something in `text` that might be a bearer credential of ours, whole or cut. */
export function mightBeBearer(text: string): boolean {
  return ANY_BEARER.test(text);
}

/** A fresh v4 UUID (RFC 9562). */
export function newId(): string {
  return randomUUID();
}

/** Names a process of the service among all, those before it included: 12 hex digits. */
export function newProcessId(): string {
  return randomBytes(6).toString("hex");
}

/** `prefix` and 32 characters of A–Z a–z 0–9 (190 bits), from the system's cryptographic source, without modulo bias. */
export function newBearer(prefix: string): string {
  return bearerOf(prefix, randomBytes);
}

/** The same of other bytes than the system's: `next` gives more of them whenever those so far did not suffice. */
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

/** `prefix` and 256 random bits, base64url: what a browser keeps of a session. */
export function newSessionValue(prefix: string): string {
  return prefix + randomBytes(32).toString("base64url");
}

/** Whether `text` has the exact form of a proxy token. Says nothing about whether it is live. */
export function isProxyToken(text: string): boolean {
  return PROXY_TOKEN.test(text);
}

/** Whether something in `text` begins as a token that agents are given does: it must go neither upstream nor into the log. */
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
