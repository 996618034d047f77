// Opens sockets to Postgres: chooses a server of the URL, connects by TCP or a Unix socket, and starts TLS. The `postgres` package's own
// sockets are not used: it retries for ever when a server closes during startup, and can't be made to release a socket. Must always settle.
import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { type DatabaseServer, isSocket } from "./database-url.ts";
import type { TlsSettings } from "./database-tls.ts";

// PostgreSQL manual, 54.7: SSLRequest, answered by one byte, S or N.
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 0x53;

/**
 * Connects to a server. Rejects with an error that has a code, after `withinMs` at the latest, or when `signal` aborts. If the server
 * closes the socket later, it ends with the error CONNECTION_CLOSED.
 */
export async function dial(
  server: DatabaseServer,
  {
    tls,
    withinMs,
    signal,
  }: { tls: TlsSettings | undefined; withinMs: number; signal: AbortSignal },
): Promise<Socket> {
  const timeout = AbortSignal.timeout(withinMs);
  const until = { signal: AbortSignal.any([signal, timeout]) };
  const { host, address = host, port } = server;
  const place = isSocket(host)
    ? { path: `${host.replace(/^@/, "\0")}/.s.PGSQL.${port}` }
    : { host: address, port, noDelay: true };
  const raw = closingLoudly(connectTcp({ ...place, allowHalfOpen: true }));
  try {
    await once(raw, "connect", until);
    if (tls === undefined) return raw;
    raw.write(SSL_REQUEST);
    const [answer] = (await once(raw, "data", until)) as [Buffer];
    if (answer[0] !== YES || answer.length > 1) {
      if (tls.optional && answer.length === 1) return raw;
      throw failure("ERR_TLS_REFUSED", "the server does not offer TLS");
    }
    const servername = tls.sendsName && isIP(host) === 0 ? { servername: host } : {};
    const secure = closingLoudly(connectTls({ ...tls.options, ...servername, host, socket: raw }));
    await once(secure, "secureConnect", until);
    return secure;
  } catch (error) {
    raw.destroy();
    if (!timeout.aborted) throw error;
    throw failure("CONNECT_TIMEOUT", "connecting to the server took too long");
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function closingLoudly(socket: Socket): Socket {
  // An error without a listener would end the process.
  socket.on("error", () => undefined);
  socket.on("end", () => {
    const expected = socket.writableEnded;
    socket.destroy(
      expected ? undefined : failure("CONNECTION_CLOSED", "the server closed the connection"),
    );
  });
  return socket;
}

// A connection that ended sooner was refused: by the server, or by us because the server is not a primary.
const ACCEPTED_AFTER_MS = 1000;
// The pause when all servers have failed.
const PAUSE_MS = 100;

/**
 * Which server of a URL to connect to. They serve one database: a primary, and standbys of which one may become the primary. A server
 * that refuses us, or isn't the primary, is left for the next one. A server that works is kept, so that a failed one costs one wait only.
 */
export interface Servers {
  /** The index of the server to try next, out of `count`. Waits a moment when all have failed. Never rejects. */
  next(count: number, signal: AbortSignal): Promise<number>;
  /** Call this when connecting has failed. */
  failed(server: number): void;
  /** Call this when connected, and the returned function when that connection ends. */
  connected(server: number): () => void;
}

export function createServers(): Servers {
  let current = 0;
  let failures = 0;
  const failed = (server: number): void => {
    failures++;
    // Several connections may have tried the same server.
    if (current === server) current = server + 1;
  };
  return {
    async next(count, signal) {
      if (failures >= count) await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
      if (current >= count) current = 0;
      return current;
    },
    failed,
    connected(server) {
      let accepted = false;
      const timer = setTimeout(() => {
        accepted = true;
        failures = 0;
      }, ACCEPTED_AFTER_MS).unref();
      return () => {
        clearTimeout(timer);
        if (!accepted) failed(server);
      };
    },
  };
}
