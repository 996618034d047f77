// Both ends of the proxy at the level of bytes: an upstream that a test scripts, and a client that sends what it is told.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** One connection that the upstream accepted. */
export interface UpstreamConnection {
  readonly socket: Socket;
  /** All bytes received so far, latin1. */
  received(): string;
  /** Resolves when what was received satisfies `test`; rejects when the connection ends before. */
  until(test: (received: string) => boolean): Promise<string>;
  /** Resolves to the first header section and its raw field lines. */
  head(): Promise<{ line: string; headers: [string, string][]; text: string }>;
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
  send(bytes: string | Buffer): void;
  received(): string;
  until(test: (received: string) => boolean): Promise<string>;
  /** Resolves when the connection is over: cleanly (FIN) or by a reset. */
  ended(): Promise<"fin" | "reset">;
}

/** A client connection to a port on loopback, which sends what it is told. */
export async function openWireClient(port: number, allowHalfOpen = false): Promise<WireClient> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen });
  const { received, until } = wrap(socket);
  let failure: NodeJS.ErrnoException | undefined;
  socket.on("error", (error) => (failure = error));
  const closed = new Promise<"fin" | "reset">((resolve) => {
    socket.on("end", () => resolve("fin"));
    socket.on("close", () => resolve(failure === undefined ? "fin" : "reset"));
  });
  await once(socket, "connect");
  socket.setNoDelay(true);
  return {
    socket,
    received,
    until,
    send: (bytes) => void socket.write(bytes),
    ended: () => closed,
  };
}
