// One socket to a Postgres server: TCP or a Unix socket, and TLS as the URL asks. Ours and not the `postgres` package's, which tries again
// for ever when a server closes during startup, and can't be made to let go of a socket. Must always settle.
import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { type DatabaseServer, isSocket } from "./database-url.ts";
import type { TlsWish } from "./tls-wish.ts";

// PostgreSQL manual, 54.7: SSLRequest, answered by one byte, S or N.
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 0x53;

/**
 * Connects. Rejects with an error that has a code, after `withinMs` at the latest, or when `signal` says so. A server that closes
 * the socket later ends it with CONNECTION_CLOSED, never silently.
 */
export async function dial(
  server: DatabaseServer,
  { tls, withinMs, signal }: { tls: TlsWish | undefined; withinMs: number; signal: AbortSignal },
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

// A connection that ended sooner was refused: by the server, or by us since that is no primary.
const ACCEPTED_AFTER_MS = 1000;
// Between tries when all have been tried in vain.
const PAUSE_MS = 100;

/** What all clients of one pool know of the servers. */
export interface Servers {
  /** The number of the server to try, of `count`; waits a little when all of them have failed. Never rejects. */
  next(count: number, signal: AbortSignal): Promise<number>;
  /** It can't be connected to. */
  failed(server: number): void;
  /** It was connected to; call what this returns when that connection ends. */
  connected(server: number): () => void;
}

export function createServers(): Servers {
  let current = 0;
  let failures = 0;
  const failed = (server: number): void => {
    failures++;
    // Several connections may have met the same one.
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
