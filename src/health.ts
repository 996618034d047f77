// Metrics and health, on a listener of their own: nothing here needs a credential, so nothing here may tell a secret.
import { createServer } from "node:http";
import type { ListenAddress } from "./config.ts";
import type { Pool } from "./db/index.ts";
import { listen } from "./listen.ts";
import type { Metrics } from "./metrics.ts";

const READY_CHECK_MS = 2000;

export interface Health {
  listen(address: ListenAddress): Promise<ListenAddress>;
  /** From now on not ready. */
  drain(): void;
  close(): Promise<void>;
}

/** `/metrics`, `/healthz` (this process lives) and `/readyz` (it can do its work: the database answers). */
export function createHealth({ metrics, pool }: { metrics: Metrics; pool: Pool }): Health {
  let draining = false;
  const isReady = async (): Promise<boolean> => {
    if (draining) return false;
    const late = new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), READY_CHECK_MS).unref();
    });
    const answers = pool
      .query((sql) => sql`select 1`)
      .then(
        () => true,
        () => false,
      );
    return Promise.race([answers, late]);
  };
  const server = createServer((request, response) => {
    const send = (status: number, text: string, type = "text/plain; charset=utf-8"): void => {
      response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
    };
    if (request.method !== "GET" && request.method !== "HEAD") {
      send(405, "only GET\n");
      return;
    }
    switch (request.url ?? "") {
      case "/healthz":
        send(200, "ok\n");
        break;
      case "/readyz":
        void isReady().then((ready) => (ready ? send(200, "ready\n") : send(503, "not ready\n")));
        break;
      case "/metrics":
        void metrics.text().then(
          (text) => send(200, text, metrics.contentType),
          () => send(500, "the metrics can't be collected\n"),
        );
        break;
      default:
        send(404, "there are /metrics, /healthz and /readyz\n");
    }
  });
  return {
    listen: (address) => listen(server, address),
    drain: () => void (draining = true),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
