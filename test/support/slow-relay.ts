// A TCP relay whose server may move, stop and come again, and that can keep what is said to it for a while.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface SlowRelay {
  readonly port: number;
  /** Where connections go from now on; undefined: nowhere, and those that are open are cut. */
  lead(port: number | undefined): void;
  /** Keeps every byte of a client until `release`. */
  hold(): void;
  release(): void;
  close(): Promise<void>;
}

export async function createSlowRelay(): Promise<SlowRelay> {
  const sockets = new Set<Socket>();
  let target: number | undefined;
  let held: (() => void)[] | undefined;
  const adopt = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  const join = (client: Socket): void => {
    if (target === undefined) {
      client.destroy();
      return;
    }
    const server = connect(target, "127.0.0.1");
    adopt(server);
    client.pipe(server).pipe(client);
    server.on("close", () => client.destroy());
    client.on("close", () => server.destroy());
  };
  const relay = createServer((client) => {
    adopt(client);
    if (held === undefined) join(client);
    else held.push(() => join(client));
  });
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  return {
    port: (relay.address() as AddressInfo).port,
    lead(port) {
      target = port;
      if (port === undefined) for (const socket of sockets) socket.destroy();
    },
    hold: () => void (held ??= []),
    release() {
      const waiting = held ?? [];
      held = undefined;
      for (const go of waiting) go();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      relay.close();
      await once(relay, "close");
    },
  };
}
