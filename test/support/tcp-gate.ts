// A TCP relay in front of a server, that a test can make fail in each of the ways in which networks do.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/**
 * open: passes bytes on. refuse: nobody listens, and open connections are cut. hang-up: accepts, and closes at the first
 * byte. silent: accepts, and swallows every byte both ways, also on the connections that are open.
 */
export type GateMode = "open" | "refuse" | "hang-up" | "silent";

export interface TcpGate {
  /** The URL given, with the gate's host and port. */
  readonly url: string;
  /** How many connections were accepted until now. */
  readonly accepted: number;
  set(mode: GateMode): Promise<void>;
  /** Makes one connection silent (0: the first that was accepted) and leaves the others as they are. */
  silence(connection: number): void;
  close(): Promise<void>;
}

export async function createTcpGate(targetUrl: string): Promise<TcpGate> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let mode: GateMode = "open";
  const silenced = new Set<number>();
  let accepted = 0;
  let server: Server | undefined;

  const adopt = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };

  async function listen(port: number): Promise<void> {
    const made = createServer((client) => {
      const connection = accepted++;
      const passes = (): boolean => mode === "open" && !silenced.has(connection);
      adopt(client);
      if (mode === "hang-up") {
        client.once("data", () => client.end());
        return;
      }
      const upstream = connect(Number(target.port), target.hostname);
      adopt(upstream);
      const pass = (from: Socket, to: Socket): void => {
        from.on("data", (chunk) => {
          if (passes()) to.write(chunk);
        });
        from.on("close", () => {
          if (passes()) to.destroy();
        });
      };
      pass(client, upstream);
      pass(upstream, client);
    });
    server = made.listen(port, "127.0.0.1");
    await once(made, "listening");
  }

  await listen(0);
  const { port } = server?.address() as unknown as AddressInfo;
  const stopListening = async (): Promise<void> => {
    cut();
    if (server?.listening !== true) return;
    server.close();
    await once(server, "close");
  };
  return {
    url: Object.assign(new URL(targetUrl), { hostname: "127.0.0.1", port: String(port) }).href,
    get accepted() {
      return accepted;
    },
    async set(next) {
      mode = next;
      if (next === "refuse") await stopListening();
      else if (server?.listening !== true) await listen(port);
      if (next === "hang-up") cut();
    },
    silence: (connection) => void silenced.add(connection),
    close: stopListening,
  };
}
