// A forward proxy that opens CONNECT tunnels, and keeps a list of what it was asked for.
import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect, type AddressInfo, type Socket } from "node:net";
import type { Duplex } from "node:stream";

export interface ConnectProxy {
  readonly url: string;
  readonly requests: IncomingMessage[];
  close(): Promise<void>;
}

/**
 * Starts one on loopback. `answer` gives the status of its answer to a CONNECT, or undefined for silence; whatever name is
 * asked for, the tunnel leads to `port`.
 */
export async function createConnectProxy(o: {
  port: number;
  answer?: (request: IncomingMessage) => number | undefined | Promise<number>;
  tls?: { key: string; cert: string };
}): Promise<ConnectProxy> {
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const server = o.tls === undefined ? createHttpServer() : createHttpsServer(o.tls);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  const tunnel = async (request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> => {
    requests.push(request);
    client.on("error", () => undefined);
    const status = o.answer === undefined ? 200 : await o.answer(request);
    if (status === undefined) return;
    if (status !== 200) {
      client.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const upstream = connect(o.port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    sockets.add(upstream);
    upstream.on("error", () => client.destroy()).on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  };
  server.on("connect", (request, client, head) => void tunnel(request, client, head));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `${o.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    requests,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
