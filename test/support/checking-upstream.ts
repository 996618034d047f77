// An upstream in a thread of its own, for thousands of requests that are all alike: it gives each the same answer and counts
// those that came as they should. It keeps nothing of them.
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { createHttpUpstream } from "./http-upstream.ts";

/** What it expects of every request, and answers. */
export interface Exchange {
  readonly path: string;
  readonly authorization: string;
  readonly body: string;
  /** What may stand nowhere in a request. */
  readonly forbidden: string;
  readonly answer: string;
}

/** How many requests it has answered, and how many of those were so. */
export interface Seen {
  requests: number;
  authorized: number;
  unaltered: number;
  withForbidden: number;
}

export interface CheckingUpstream {
  readonly origin: string;
  seen(): Promise<Seen>;
  close(): Promise<void>;
}

/** Starts one on loopback. */
export async function startCheckingUpstream(exchange: Exchange): Promise<CheckingUpstream> {
  const worker = new Worker(new URL(import.meta.url), { workerData: exchange });
  const [origin] = (await once(worker, "message")) as [string];
  return {
    origin,
    async seen() {
      const answered = once(worker, "message");
      worker.postMessage("seen?");
      return ((await answered) as [Seen])[0];
    },
    async close() {
      await worker.terminate();
    },
  };
}

async function serve({ path, authorization, body, forbidden, answer }: Exchange): Promise<void> {
  const seen: Seen = { requests: 0, authorized: 0, unaltered: 0, withForbidden: 0 };
  const { origin, server } = await createHttpUpstream((request, response) => {
    let came = "";
    request.setEncoding("latin1");
    request.on("data", (piece: string) => (came += piece));
    request.on("end", () => {
      seen.requests++;
      const { method, url = "", headers, rawHeaders } = request;
      if (headers.authorization === authorization) seen.authorized++;
      if (method === "POST" && url === path && came === body) seen.unaltered++;
      if ([url, ...rawHeaders, came].join("\n").includes(forbidden)) seen.withForbidden++;
      response.writeHead(200, {
        "content-type": "application/json",
        "content-length": answer.length,
      });
      response.end(answer);
    });
  });
  server.keepAliveTimeout = 60_000; // so that it never closes what a proxy is about to use
  parentPort?.on("message", () => parentPort?.postMessage(seen));
  parentPort?.postMessage(origin);
}

if (!isMainThread) await serve(workerData as Exchange);
