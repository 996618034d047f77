// The data plane's server, plain or over TLS, and its connections. Callers need not know which of the two it is.
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Certificate } from "../platform/certificate.ts";
import type { Answer } from "./answer.ts";
import { carriedBy } from "./endings.ts";

const HANDSHAKE_WITHIN_MS = 10_000;

type Options = http.ServerOptions<typeof IncomingMessage, typeof Answer>;
type Server = http.Server<typeof IncomingMessage, typeof Answer>;

export interface Listener {
  readonly server: Server;
  /** Calls `visit` with each connection on which requests may come. */
  each(visit: (socket: Socket) => void): void;
  /** Ends every connection after its last written bytes, and resolves when none is left. */
  endConnections(): Promise<void>;
}

/** Makes the server. With a certificate it speaks TLS only, and HTTP/1.1 inside. */
export function createListener(options: Options, certificate: Certificate | undefined): Listener {
  /** TCP connections. Over TLS, each carries a TLS socket once its handshake is done. */
  const connections = new Set<Socket>();
  const secured = new Set<Socket>();
  let server: Server;
  if (certificate === undefined) {
    server = http.createServer(options);
  } else {
    const secure = https.createServer({
      ...options,
      ...certificate.options,
      handshakeTimeout: HANDSHAKE_WITHIN_MS,
    });
    certificate.keepCurrent(secure);
    const byEnds = new Map<string, Socket>();
    secure.on("connection", (connection: Socket) => {
      const ends = endsOf(connection);
      byEnds.set(ends, connection);
      connection.once("close", () => byEnds.delete(ends));
    });
    secure.on("secureConnection", (socket: TLSSocket) => {
      const connection = byEnds.get(endsOf(socket));
      if (connection !== undefined) carriedBy(socket, connection);
      track(secured, socket);
    });
    server = secure;
  }
  server.on("connection", (connection: Socket) => track(connections, connection));
  return {
    server,
    each: (visit) => (certificate === undefined ? connections : secured).forEach(visit),
    async endConnections() {
      await endAll(secured);
      // Connections with a TLS socket have ended by now. What is left is still in its handshake, and nothing was written to it.
      await endAll(connections);
    },
  };
}

function track(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
}

async function endAll(sockets: ReadonlySet<Socket>): Promise<void> {
  await Promise.all(
    [...sockets].map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.once("close", () => resolve());
          socket.destroySoon();
        }),
    ),
  );
}

/** The addresses and ports of both ends: unique among the open connections of a listener. */
function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(" ");
}
