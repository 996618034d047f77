// Listening, as a promise.
import type { Server } from "node:net";
import type { ListenAddress } from "./config.ts";

/** Begins to listen; resolves to the address that it got (port 0 picks one), rejects when it can't. */
export function listen(server: Server, { host, port }: ListenAddress): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve({ host, port: bound === null || typeof bound === "string" ? port : bound.port });
    });
  });
}
