// TLS to a database server by libpq's parameters (PostgreSQL manual, 32.19). Must always use TLS to another machine, unless
// sslmode=disable is given.
import { readFileSync } from "node:fs";
import type { ConnectionOptions, SecureVersion } from "node:tls";
import { ConfigError } from "../platform/errors.ts";

export interface TlsSettings {
  /** Whether to continue without TLS when the server offers none. */
  readonly optional: boolean;
  /** Whether to send the server's name (SNI). */
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

/** Throws ConfigError for parameters that contradict each other. */
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
 * The TLS settings for one server; undefined: no TLS. `isLocal`: the server is on this machine, where `allow` and `prefer` use TLS if the
 * server offers it. For other servers they mean `require`. Throws ConfigError for a file that can't be read.
 */
export function tlsTo(given: Given, isLocal: boolean): TlsSettings | undefined {
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
  // Channel binding detects a man in the middle. The package doesn't support it, so verify the certificate and its name instead.
  const isVerified =
    bound || mode.startsWith("verify-") || (mode === "require" && ca !== undefined);
  // verify-ca doesn't check the name. That is safe only with a given CA: a public one issues certificates to anybody.
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
