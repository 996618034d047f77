// One socket to a Postgres server: TCP, and TLS as the URL asks. Ours and not the `postgres` package's, which tries again
// for ever when a server closes during startup, and can't be made to let go of a socket. Must always settle.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { ConfigError } from "../errors.ts";

export interface TlsWish {
  /** Whether to go on without TLS when the server has none. */
  readonly optional: boolean;
  readonly options: Pick<ConnectionOptions, "rejectUnauthorized" | "ca" | "cert" | "key">;
}

const CONNECT_TIMEOUT_MS = 3000;
// PostgreSQL manual, 54.7: SSLRequest, answered by one byte, S or N.
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 0x53;

/**
 * Takes what concerns TLS out of a URL. The modes mean what they mean to libpq (PostgreSQL manual, 32.19), but verify-ca
 * looks at the name too.
 */
export function tlsOf(url: string): { plainUrl: string; tls: TlsWish | undefined } {
  const [base = "", query = ""] = url.split("?", 2);
  const parameters = new URLSearchParams(query);
  const take = (name: string): string | undefined => {
    const value = parameters.get(name);
    parameters.delete(name);
    return value ?? undefined;
  };
  const file = (name: string): Buffer | undefined => {
    const path = take(name);
    return path === undefined || path === "system" ? undefined : readTlsFile(name, path);
  };
  const mode = take("sslmode") ?? take("ssl") ?? "disable";
  const unauthenticated = mode === "require" && !parameters.has("sslrootcert");
  const [ca, cert, key] = [file("sslrootcert"), file("sslcert"), file("sslkey")];
  // libpq's own; the package would send it on as a setting of the server.
  for (const name of ["channel_binding", "gssencmode"]) take(name);
  const plainUrl = parameters.size === 0 ? base : `${base}?${parameters.toString()}`;
  if (mode === "disable" || mode === "false") return { plainUrl, tls: undefined };
  const optional = mode === "allow" || mode === "prefer";
  const options = {
    rejectUnauthorized: !optional && !unauthenticated,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
  return { plainUrl, tls: { optional, options } };
}

/**
 * Connects. Rejects with an error that has a code, after 3 s at the latest, or when `signal` says so. A server that closes
 * the socket later ends it with CONNECTION_CLOSED, never silently.
 */
export async function dial(
  { host, port, tls }: { host: string; port: number; tls: TlsWish | undefined },
  signal: AbortSignal,
): Promise<Socket> {
  const timeout = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  const until = { signal: AbortSignal.any([signal, timeout]) };
  const raw = closingLoudly(connectTcp({ host, port, allowHalfOpen: true, noDelay: true }));
  try {
    await once(raw, "connect", until);
    if (tls === undefined) return raw;
    raw.write(SSL_REQUEST);
    const [answer] = (await once(raw, "data", until)) as [Buffer];
    if (answer[0] !== YES || answer.length > 1) {
      if (tls.optional && answer.length === 1) return raw;
      throw failure("ERR_TLS_REFUSED", "the server does not offer TLS");
    }
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const secure = closingLoudly(connectTls({ ...tls.options, ...servername, host, socket: raw }));
    await once(secure, "secureConnect", until);
    return secure;
  } catch (error) {
    raw.destroy();
    if (!timeout.aborted) throw error;
    throw failure("CONNECT_TIMEOUT", "connecting to the server took too long");
  }
}

function readTlsFile(parameter: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw new ConfigError(`DATABASE_URL: ${parameter}: can't read the file ${path}`);
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function closingLoudly(socket: Socket): Socket {
  // For when nobody waits for it any more.
  socket.on("error", () => undefined);
  socket.on("end", () => {
    const expected = socket.writableEnded;
    socket.destroy(
      expected ? undefined : failure("CONNECTION_CLOSED", "the server closed the connection"),
    );
  });
  return socket;
}
