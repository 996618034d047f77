// An upstream on Node's own HTTP server, for tests that need one which behaves, and counts.
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface HttpUpstream {
  readonly origin: string;
  readonly port: number;
  readonly server: Server;
  /** How many connections it has accepted, and how many requests it has seen. */
  readonly connections: number;
  readonly requests: number;
  close(): Promise<void>;
}

/** Starts one on loopback. */
export async function createHttpUpstream(listener: RequestListener): Promise<HttpUpstream> {
  let connections = 0;
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    listener(request, response);
  });
  server.on("connection", () => connections++);
  server.on("upgrade", () => requests++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    server,
    get connections() {
      return connections;
    },
    get requests() {
      return requests;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
