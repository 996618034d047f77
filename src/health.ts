// The listener for metrics and health. It asks for no credential, so its answers must never hold a secret. With workers it runs in the first
// process, which asks them.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Clock } from "./platform/clock.ts";
import { boundConnections } from "./platform/connection-bounds.ts";
import type { ListenAddress } from "./platform/config.ts";
import type { Pool } from "./db/index.ts";
import { listen } from "./platform/listen.ts";
import { errorFields, type Log } from "./platform/log.ts";
import type { ConnectionMetrics } from "./platform/metric-labels.ts";
import type { Metrics } from "./platform/metrics.ts";

/** Why the service is not ready. */
export type NotReady =
  /** It does not listen yet. */
  | "starting"
  /** It is stopping. */
  | "draining"
  /** The database does not answer. */
  | "database_unavailable"
  /** More than half of the workers are not ready. */
  | "workers_unavailable";

export interface Health {
  listen(address: ListenAddress): Promise<ListenAddress>;
  /** From now on it is ready as long as `look` finds no reason against it. */
  begin(look: () => Promise<NotReady | undefined>): void;
  /** From now on it is not ready. */
  drain(): void;
  close(): Promise<void>;
}

// Monitoring asks at once, with small requests. Close other connections soon.
const REQUEST_WITHIN_MS = 3000;
const LOOK_EVERY_MS = 1000;
const SILENT_MS = 10_000;
const CHECK_WITHIN_MS = 2000;
// The database is asked at most once in this time.
const FRESH_MS = 300;

/** Serves `/metrics`, `/healthz` (the process is alive) and `/readyz` (the service is ready). */
export function createHealth({
  metrics,
  log,
}: {
  metrics: Pick<Metrics, "text" | "contentType"> & ConnectionMetrics;
  log: Log;
}): Health {
  let look: (() => Promise<NotReady | undefined>) | undefined;
  let draining = false;
  const problem = async (): Promise<NotReady | undefined> => {
    if (draining) return "draining";
    if (look === undefined) return "starting";
    const found = await look();
    return isDraining() ? "draining" : found;
  };
  // The state may have changed during that wait.
  const isDraining = (): boolean => draining;
  const timeouts = {
    headersTimeout: REQUEST_WITHIN_MS,
    requestTimeout: REQUEST_WITHIN_MS,
    connectionsCheckingInterval: LOOK_EVERY_MS,
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, text: string, type = "text/plain; charset=utf-8"): void => {
      response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
    };
    const sendState = (status: number, state: { status: string; reason?: NotReady }): void =>
      send(status, `${JSON.stringify(state)}\n`, "application/json");
    if (request.method !== "GET" && request.method !== "HEAD") {
      send(405, "only GET\n");
      return;
    }
    switch (request.url ?? "") {
      case "/healthz":
        sendState(200, { status: "ok" });
        break;
      case "/readyz": {
        const reason = await problem();
        if (reason === undefined) sendState(200, { status: "ready" });
        else sendState(503, { status: "not ready", reason });
        break;
      }
      case "/metrics":
        send(200, await metrics.text(), metrics.contentType);
        break;
      default:
        send(404, "there are /metrics, /healthz and /readyz\n");
    }
  };
  const server = createServer(timeouts, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.error("a question for health or metrics can't be answered", errorFields(error));
      if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
      response.end("this can't be collected\n");
    });
  });
  server.setTimeout(SILENT_MS);
  boundConnections(server, { listener: "metrics", trustedProxies: [], metrics, log });
  return {
    listen: (address) => listen(server, address),
    begin: (given) => void (look = given),
    drain: () => void (draining = true),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * Whether the database answers within 2 s. Callers share one query, and for a moment its answer. If the database is away, the query can
 * last longer than its callers wait.
 */
export function createDatabaseCheck(pool: Pool, clock: Clock): () => Promise<boolean> {
  let current: Promise<boolean> | undefined;
  let endedMs: number | undefined;
  const answers = async (): Promise<boolean> => {
    try {
      await pool.query((sql) => sql`select 1`);
      return true;
    } catch {
      return false; // the pool's metrics and refused calls show the reason
    } finally {
      endedMs = clock.monotonicMs();
    }
  };
  return () => {
    if (endedMs !== undefined && clock.monotonicMs() - endedMs > FRESH_MS) current = undefined;
    if (current !== undefined) return current;
    endedMs = undefined;
    const late = new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), CHECK_WITHIN_MS).unref();
    });
    current = Promise.race([answers(), late]);
    return current;
  };
}
