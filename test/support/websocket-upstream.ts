// An upstream that speaks WebSocket, by the ws package.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer, type ServerOptions } from "ws";

export interface WebSocketUpstream {
  readonly origin: string;
  readonly server: Server;
  /** The handshakes that it has seen. */
  readonly requests: IncomingMessage[];
  /** The sockets that it has accepted. */
  readonly sockets: WebSocket[];
  close(): Promise<void>;
}

/** Starts one on loopback; `onSocket` is called for each accepted socket, `refuse` may answer a handshake by itself. */
export async function createWebSocketUpstream(
  onSocket: (socket: WebSocket) => void,
  o: { options?: ServerOptions; refuse?: string } = {},
): Promise<WebSocketUpstream> {
  const requests: IncomingMessage[] = [];
  const sockets: WebSocket[] = [];
  const server = createServer((_, response) => response.end("plain"));
  const webSockets = new WebSocketServer({ noServer: true, ...o.options });
  server.on("upgrade", (request, socket, head) => {
    requests.push(request);
    socket.on("error", () => undefined);
    if (o.refuse !== undefined) {
      socket.end(o.refuse);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (accepted) => {
      sockets.push(accepted);
      accepted.on("error", () => undefined);
      onSocket(accepted);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    requests,
    sockets,
    async close() {
      for (const socket of sockets) socket.terminate();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** An upstream that sends back each message as it came. */
export function createEcho(options: ServerOptions = {}): Promise<WebSocketUpstream> {
  return createWebSocketUpstream(
    (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })),
    { options },
  );
}

/** A client's WebSocket once it is open; rejects when it can't be. */
export async function openWebSocket(
  url: string,
  o: { protocols?: string[]; headers?: Record<string, string> } = {},
): Promise<WebSocket> {
  const socket = new WebSocket(url.replace(/^http/, "ws"), o.protocols ?? [], {
    headers: o.headers ?? {},
  });
  socket.on("error", () => undefined);
  await once(socket, "open");
  return socket;
}
