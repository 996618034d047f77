// How TLS is spoken with a database server, as libpq's parameters ask (PostgreSQL manual, 32.19). To another machine it always is, unless
// sslmode=disable is said.
import { readFileSync } from "node:fs";
import type { ConnectionOptions, SecureVersion } from "node:tls";
import { ConfigError } from "../platform/errors.ts";

export interface TlsWish {
  /** Whether to go on without TLS when the server has none. */
  readonly optional: boolean;
  /** Whether the server's name is sent, so that it knows which certificate is asked for. */
  readonly sendsName: boolean;
  readonly options: Pick<
    ConnectionOptions,
    | "rejectUnauthorized"
    | "ca"
    | "cert"
    | "key"
    | "passphrase"
    | "crl"
    | "minVersion"
    | "maxVersion"
    | "checkServerIdentity"
  >;
}

type Given = ReadonlyMap<string, string>;

/** Throws ConfigError for what doesn't fit together. */
export function checkTls(given: Given): void {
  const mode = given.get("sslmode");
  if (given.get("sslrootcert") === "system" && (mode ?? "verify-full") !== "verify-full") {
    throw refused("sslrootcert: with system, give sslmode=verify-full");
  }
  if (given.has("sslcert") !== given.has("sslkey")) {
    throw refused(`${given.has("sslcert") ? "sslkey" : "sslcert"}: give both sslcert and sslkey`);
  }
}

/**
 * What to do for one server. `isLocal`: it is on this machine, where TLS is libpq's default: if the server has it. Everywhere else `allow`
 * and `prefer` are `require`. Throws ConfigError for a file that can't be read.
 */
export function tlsTo(given: Given, isLocal: boolean): TlsWish | undefined {
  const root = given.get("sslrootcert");
  const bound = given.get("channel_binding") === "require";
  const mode = given.get("sslmode") ?? (root === "system" ? "verify-full" : "prefer");
  if (mode === "disable") {
    if (!bound) return undefined;
    throw refused("channel_binding: require needs TLS, and sslmode=disable is said");
  }
  const file = (name: string): Buffer | undefined => {
    const path = given.get(name);
    return path === undefined || path === "" ? undefined : readTlsFile(name, path);
  };
  const ca = root === "system" ? undefined : file("sslrootcert");
  // Channel binding shows that nobody is in between. The package can't do it, and a certificate of that name shows the same.
  const isVerified =
    bound || mode.startsWith("verify-") || (mode === "require" && ca !== undefined);
  // Anybody gets a certificate from a public authority, for a name of their own: only with a given one is its word enough.
  const anyName = mode === "verify-ca" && ca !== undefined && !bound;
  const crl = file("sslcrl");
  const isShown = given.get("sslcertmode") !== "disable";
  const [cert, key] = isShown ? [file("sslcert"), file("sslkey")] : [];
  const passphrase = given.get("sslpassword");
  const minVersion = given.get("ssl_min_protocol_version") as SecureVersion | undefined;
  const maxVersion = given.get("ssl_max_protocol_version") as SecureVersion | undefined;
  return {
    optional: isLocal && !isVerified && (mode === "allow" || mode === "prefer"),
    sendsName: given.get("sslsni") !== "0",
    options: {
      rejectUnauthorized: isVerified,
      ...(ca !== undefined && { ca }),
      ...(crl !== undefined && { crl }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(passphrase !== undefined && { passphrase }),
      ...(minVersion !== undefined && { minVersion }),
      ...(maxVersion !== undefined && { maxVersion }),
      ...(anyName && { checkServerIdentity: () => undefined }),
    },
  };
}

function readTlsFile(parameter: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw refused(`${parameter}: can't read the file ${path}`);
  }
}

function refused(what: string): ConfigError {
  return new ConfigError(`DATABASE_URL: ${what}`);
}
