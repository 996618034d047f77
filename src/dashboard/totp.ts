// The seed of a new second factor, made in the browser: 20 random bytes in base32 (RFC 4648), and the URL that authenticator apps read from
// a QR code (github.com/google/google-authenticator/wiki/Key-Uri-Format).
const SEED_BYTES = 20;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export function newSeed(): string {
  return base32(crypto.getRandomValues(new Uint8Array(SEED_BYTES)));
}

/** Without padding: 5 bytes are 8 characters. */
export function base32(bytes: Uint8Array): string {
  let text = "";
  let rest = 0;
  let bits = 0;
  for (const byte of bytes) {
    rest = ((rest << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(rest >> bits) & 31] ?? "";
    }
  }
  return bits === 0 ? text : text + (ALPHABET[(rest << (5 - bits)) & 31] ?? "");
}

export function otpauthUrl(seed: string, account: string, workspace: string): string {
  const issuer = workspace === "" ? "x3sproxy" : `x3sproxy ${workspace}`;
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`;
  const query = new URLSearchParams({ secret: seed, issuer, algorithm: "SHA1", digits: "6" });
  // Some apps show a plus sign for the space.
  return `otpauth://totp/${label}?${query.toString().replaceAll("+", "%20")}&period=30`;
}

/** In groups of four, for typing. */
export const grouped = (seed: string): string => seed.match(/.{1,4}/g)?.join(" ") ?? seed;
