// A TCP relay that lets bytes arrive later, as a network between two machines does: what is under way at once is not slowed down by it.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface LaggingRelay {
  /** The URL given, with the relay's host and port. */
  readonly url: string;
  close(): Promise<void>;
}

export async function createLaggingRelay(
  targetUrl: string,
  roundTripMs: number,
): Promise<LaggingRelay> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const adopt = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  /** Each chunk goes on in its order, so much later. */
  const pass = (from: Socket, to: Socket): void => {
    from.on("data", (chunk) => setTimeout(() => to.write(chunk), roundTripMs / 2));
    from.on("close", () => to.destroy());
  };
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({
      port: Number(target.port),
      host: target.hostname,
      noDelay: true,
    });
    adopt(client);
    adopt(upstream);
    pass(client, upstream);
    pass(upstream, client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(targetUrl), { hostname: "127.0.0.1", port: String(port) }).href,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
