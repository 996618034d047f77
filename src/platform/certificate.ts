// The TLS certificate of our listeners. It is read from two files, checked, and read again every minute, so that a renewed one is used
// without a restart. Neither the files' content nor their paths may reach the log or an error.
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { createSecureContext, type Server, type TlsOptions } from "node:tls";
import { readSmallFile } from "./bounded-file.ts";
import type { Clock } from "./clock.ts";
import type { TlsFiles } from "./config.ts";
import { ConfigError } from "./errors.ts";
import type { Log } from "./log.ts";
import { codeOf } from "./unknown-values.ts";

// A handshake takes two round trips. End slower ones.
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CERTIFICATE = "X3SPROXY_TLS_CERT_FILE";
const KEY = "X3SPROXY_TLS_KEY_FILE";

export interface Certificate {
  /** The options of a listener: the present certificate and key; TLS 1.3 only (RFC 8446), with HTTP/1.1. */
  readonly options: TlsOptions;
  /** From now on gives each renewed certificate to `server`, for new connections. */
  keepCurrent(server: Server): void;
  /** Reads the files now. If they can't be used, logs that and keeps the previous certificate. Never rejects. */
  look(): Promise<void>;
  /** When the certificate expires: wall clock, milliseconds since the Unix epoch. */
  validUntilMs(): number;
}

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Reads certificate and key. Throws ConfigError that says which file is wrong and why: unreadable, not PEM, not a pair. */
export async function openCertificate(
  files: TlsFiles,
  { log, clock }: { log: Log; clock: Clock },
): Promise<Certificate> {
  const servers: Server[] = [];
  const first = await read(files);
  if (typeof first === "string") throw new ConfigError(first);
  let current = first;
  let said: string | undefined;

  /** Logs a problem once, and again only after a different one. */
  const say = (text: string | undefined): void => {
    if (text !== undefined && text !== said) log.warn(text);
    said = text;
  };
  const lookAt = (found: Pair | string): void => {
    if (typeof found === "string") {
      say(`${found}. The certificate from before stays in use`);
      return;
    }
    if (!same(found, current)) {
      current = found;
      for (const server of servers) server.setSecureContext(optionsOf(found));
      log.info("the certificate was renewed");
    }
    say(validityProblem(found.cert, clock.nowMs()));
  };
  say(validityProblem(current.cert, clock.nowMs()));

  const look = async (): Promise<void> => lookAt(await read(files));
  return {
    get options() {
      return optionsOf(current);
    },
    keepCurrent: (server) => void servers.push(server),
    look,
    validUntilMs: () => Date.parse(new X509Certificate(current.cert).validTo),
  };
}

/** Why no listener can use the pair in `files` now. Undefined if one can. */
export async function certificateProblem(files: TlsFiles): Promise<string | undefined> {
  const found = await read(files);
  return typeof found === "string" ? found : undefined;
}

function optionsOf({ cert, key }: Pair): TlsOptions {
  return {
    cert,
    key,
    minVersion: "TLSv1.3",
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  };
}

function same(a: Pair, b: Pair): boolean {
  return a.cert.equals(b.cert) && a.key.equals(b.key);
}

/** A usable pair, or what is wrong with it. */
async function read({ certFile, keyFile }: TlsFiles): Promise<Pair | string> {
  const cert = await readOne(CERTIFICATE, certFile);
  if (typeof cert === "string") return cert;
  const key = await readOne(KEY, keyFile);
  if (typeof key === "string") return key;
  return pairProblem(cert, key) ?? { cert, key };
}

async function readOne(setting: string, path: string): Promise<Buffer | string> {
  try {
    return await readSmallFile(path);
  } catch (error) {
    return `${setting}: the file can't be read (${codeOf(error) ?? "unknown error"})`;
  }
}

function pairProblem(cert: Buffer, key: Buffer): string | undefined {
  let certificate: X509Certificate;
  let privateKey: KeyObject;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return `${CERTIFICATE}: the file holds no certificate in PEM form`;
  }
  try {
    privateKey = createPrivateKey(key);
  } catch {
    return key.includes("ENCRYPTED")
      ? `${KEY}: the key is encrypted with a passphrase. Give it without one, in a file that only the service can read`
      : `${KEY}: the file holds no private key in PEM form`;
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    return `${KEY}: the key is not that of the certificate in ${CERTIFICATE}`;
  }
  try {
    createSecureContext(optionsOf({ cert, key }));
    return undefined;
  } catch (error) {
    return `${CERTIFICATE}: TLS does not accept the certificate and its key (${codeOf(error) ?? "unknown error"})`;
  }
}

/** A warning if clients will refuse the certificate for its dates. */
function validityProblem(cert: Buffer, nowMs: number): string | undefined {
  const { validFrom, validTo } = new X509Certificate(cert);
  if (nowMs > Date.parse(validTo)) return `${CERTIFICATE}: the certificate has expired`;
  if (nowMs < Date.parse(validFrom)) return `${CERTIFICATE}: the certificate is not yet valid`;
  return undefined;
}
