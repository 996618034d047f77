// Both ends of the proxy at the level of bytes: an upstream that a test scripts, and a client that sends what it is told.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import type { AddressInfo } from "node:net";
import { readAnswer, type Answer } from "./answers.ts";

/** One connection that the upstream accepted. */
export interface UpstreamConnection {
  readonly socket: Socket;
  /** All bytes received so far, latin1. */
  readonly received: () => string;
  /** Resolves when what was received satisfies `test`; rejects when the connection ends before. */
  readonly until: (test: (received: string) => boolean) => Promise<string>;
  /** Resolves to the first header section and its raw field lines. */
  readonly head: () => Promise<{ line: string; headers: [string, string][]; text: string }>;
}

export interface WireUpstream {
  readonly origin: string;
  readonly port: number;
  readonly connections: UpstreamConnection[];
  /** The n-th connection (from 0), when it comes. */
  connection(n?: number): Promise<UpstreamConnection>;
  close(): Promise<void>;
}

/** An upstream on loopback that answers nothing by itself. `script` is called for each connection. */
export async function createWireUpstream(
  script: (connection: UpstreamConnection) => void = () => undefined,
): Promise<WireUpstream> {
  const connections: UpstreamConnection[] = [];
  const server: Server = createServer({ noDelay: true }, (socket) => {
    const connection = wrap(socket);
    connections.push(connection);
    server.emit("accepted");
    script(connection);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    connections,
    async connection(n = 0) {
      for (;;) {
        const found = connections[n];
        if (found !== undefined) return found;
        await once(server, "accepted");
      }
    },
    async close() {
      for (const { socket } of connections) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** An upstream that gives each request whose head has arrived the same raw answer. */
export function createCannedUpstream(answer: string | Buffer): Promise<WireUpstream> {
  return createWireUpstream((connection) => {
    let answered = 0;
    connection.socket.on("data", () => {
      const requests = connection.received().split("\r\n\r\n").length - 1;
      for (; answered < requests; answered++) connection.socket.write(answer);
    });
  });
}

function wrap(socket: Socket): UpstreamConnection {
  let received = "";
  let over = false;
  socket.on("data", (chunk) => (received += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  socket.on("close", () => {
    over = true;
    socket.emit("test-progress");
  });
  socket.on("data", () => socket.emit("test-progress"));
  const until = async (test: (received: string) => boolean): Promise<string> => {
    while (!test(received)) {
      if (over) throw new Error("the connection ended first");
      await once(socket, "test-progress");
    }
    return received;
  };
  return {
    socket,
    received: () => received,
    until,
    async head() {
      const text = await until((bytes) => bytes.includes("\r\n\r\n"));
      const [line = "", ...fields] = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n");
      const headers = fields.map((field): [string, string] => {
        const colon = field.indexOf(":");
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
      });
      return { line, headers, text };
    },
  };
}

export interface WireClient {
  readonly socket: Socket;
  readonly send: (bytes: string | Buffer) => void;
  /** The next answer that has not been taken yet, interim ones included; rejects when the connection ends before its end. */
  answer(method?: string): Promise<Answer>;
  readonly received: () => string;
  readonly until: (test: (received: string) => boolean) => Promise<string>;
  /** Resolves when the connection is over: cleanly (FIN) or by a reset. */
  ended(): Promise<"fin" | "reset">;
}

/** A client connection to a port on loopback, which sends what it is told. */
export function openWireClient(port: number, allowHalfOpen = false): Promise<WireClient> {
  return wireClientOf(connect({ port, host: "127.0.0.1", allowHalfOpen }), "connect");
}

/** The same over TLS, for a server that `options` trust; ready when the handshake is done. */
export function openTlsClient(port: number, options: ConnectionOptions): Promise<WireClient> {
  return wireClientOf(connectTls({ ...options, port, host: "127.0.0.1" }), "secureConnect");
}

async function wireClientOf(socket: Socket, ready: string): Promise<WireClient> {
  const { received, until } = wrap(socket);
  let failure: NodeJS.ErrnoException | undefined;
  let ended = false;
  socket.on("error", (error) => (failure = error));
  const closed = new Promise<"fin" | "reset">((resolve) => {
    socket.on("end", () => {
      ended = true;
      socket.emit("test-progress");
      resolve("fin");
    });
    socket.on("close", () => resolve(failure === undefined ? "fin" : "reset"));
  });
  await once(socket, ready);
  socket.setNoDelay(true);
  let taken = 0;
  return {
    socket,
    received,
    until,
    send: (bytes) => void socket.write(bytes),
    async answer(method = "GET") {
      let found: ReturnType<typeof readAnswer>;
      await until((bytes) => {
        found = readAnswer(bytes.slice(taken), { method, ended });
        return found !== undefined;
      });
      if (found === undefined) throw new Error("until() resolved without an answer");
      taken += found.length;
      return found.answer;
    },
    ended: () => closed,
  };
}

/** The bytes of a request's header section, with a token as a bearer credential unless `headers` brings its own. */
export function head(
  token: string,
  target: string,
  o: { method?: string; version?: string; headers?: readonly string[] } = {},
): string {
  const { method = "GET", version = "1.1", headers = [] } = o;
  return [
    `${method} ${target} HTTP/${version}`,
    "Host: proxy.test",
    `Authorization: Bearer ${token}`,
    ...headers,
    "\r\n",
  ].join("\r\n");
}

/** The same for a WebSocket. */
export function webSocketHead(token: string, target: string): string {
  const headers = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  return head(token, target, { headers });
}

/** An upstream's consent to it. */
export const SWITCHING =
  "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
