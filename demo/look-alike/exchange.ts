// One HTTP request at the look-alike and the ways of answering it: JSON, a stream of server-sent events, and the
// deliberate faults. It knows nothing of any provider's wire format.
import { setTimeout as sleep } from "node:timers/promises";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { RecordedRequest } from "./record.ts";
import type { Script } from "./script.ts";

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
  readonly record: RecordedRequest;
  /** Breaks the connection off in the middle of the answer. */
  readonly cut: () => void;
  /** The provider whose key was given, and that key. */
  readonly provider: string;
  readonly key: string;
}

/** Headers that the real providers' edges add; a proxy must not pass on the last two. */
const EDGE_HEADERS: OutgoingHttpHeaders = {
  server: "cloudflare",
  "alt-svc": 'h3=":443"; ma=86400',
  "set-cookie": "__cf_bm=FAKE; path=/; HttpOnly; Secure",
};

/** Answers with a JSON document. */
export function sendJson(
  res: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  document: unknown,
): void {
  const body = JSON.stringify(document);
  res.writeHead(status, {
    ...EDGE_HEADERS,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  res.end(body);
}

/** Answers with a JSON document as the script says: whole, half and then cut, or never. */
export function playJson(
  { res, cut }: Exchange,
  script: Script,
  headers: OutgoingHttpHeaders,
  document: unknown,
): void {
  if (script.ending === "complete") sendJson(res, 200, headers, document);
  if (script.ending === "break") {
    const body = JSON.stringify(document);
    res.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    res.write(body.slice(0, body.length / 2), cut);
  }
}

/** The events of a stream: what comes before, one for each piece, and what comes after. Each is a whole SSE frame. */
export interface Events {
  readonly opening: readonly string[];
  readonly pieces: readonly string[];
  readonly closing: readonly string[];
}

/** Streams the events as the script says: in full, cut in the middle, or silent after the first piece. */
export async function playEvents(
  { res, cut }: Exchange,
  script: Script,
  headers: OutgoingHttpHeaders,
  events: Events,
): Promise<void> {
  res.writeHead(200, {
    ...EDGE_HEADERS,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    ...headers,
  });
  const left = new AbortController();
  res.once("close", () => left.abort());
  for (const frame of events.opening) res.write(frame);
  for (const [index, frame] of events.pieces.entries()) {
    if (index > 0 && script.intervalMs > 0) {
      await sleep(script.intervalMs, undefined, { signal: left.signal }).catch(() => undefined);
    }
    if (left.signal.aborted) return;
    res.write(frame);
    if (script.ending === "hang") return;
    if (script.ending === "break" && index >= events.pieces.length / 2 - 1) {
      res.write("", cut);
      return;
    }
  }
  for (const frame of events.closing) res.write(frame);
  res.end();
}
