// The admin API on the Unix socket in the data folder: the same routes, for users of this machine who may enter the folder. Must never
// prevent the service from starting.
import type { FastifyInstance } from "fastify";
import { chmod } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { EXPECTED_PORT_HEADER } from "../platform/admin-socket.ts";
import { errorFields, type Log } from "../platform/log.ts";

const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 15_000;
const CLOSE_POLL_MS = 50;
const LOOPBACK = "127.0.0.1";

export interface LocalListener {
  /** Begins to listen at `path`. If that fails, the log says so. */
  listen(path: string): Promise<void>;
  /** Stops accepting connections. Resolves once the last one has ended. */
  close(): Promise<void>;
  closeAllConnections(): void;
}

/** `port`: the service's own TCP port, once it listens. */
export function createLocalListener(
  app: FastifyInstance,
  { port, log }: { port: () => number | undefined; log: Log },
): LocalListener {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    const expected = request.headers[EXPECTED_PORT_HEADER];
    if (expected === undefined || expected === String(port())) app.routing(request, response);
    else response.writeHead(421, { connection: "close" }).end();
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("connection", (socket) => {
    // A Unix socket has no remote address. Limits and the audit get the loopback address.
    Object.defineProperty(socket, "remoteAddress", { value: LOOPBACK });
  });
  return {
    async listen(path) {
      try {
        await listening(server, path);
        await chmod(path, 0o600);
      } catch (error) {
        log.warn(
          "the command line can't reach this service by its data folder: it needs X3SPROXY_API_KEY",
          errorFields(error),
        );
      }
    },
    async close() {
      const idle = setInterval(() => server.closeIdleConnections(), CLOSE_POLL_MS);
      await new Promise<unknown>((resolve) => server.close(resolve));
      clearInterval(idle);
    },
    closeAllConnections: () => server.closeAllConnections(),
  };
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
