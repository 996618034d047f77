// What the look-alike remembers of each request, so that a test can say what really arrived upstream.
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** How a request ended: we answered it whole, we cut it on purpose, or the caller left before the end. */
export type Ending = "answered" | "cut" | "abandoned";

export interface RecordedRequest {
  readonly method: string;
  /** Path and query, as they arrived. */
  readonly url: string;
  /** Names and values in turn, as they arrived. */
  readonly rawHeaders: readonly string[];
  readonly websocket: boolean;
  /** The accepted key and whose it is; undefined when the request was turned away. */
  key: { readonly provider: string; readonly value: string } | undefined;
  /** Of the body so far; `start` is its first 4 KiB as text. */
  readonly body: { bytes: number; sha256: string; start: string };
  readonly ended: Promise<Ending>;
}

/** Begins the record of a request; call `end` once. */
export function beginRecord(
  req: IncomingMessage,
  websocket: boolean,
): { record: RecordedRequest; end: (ending: Ending) => void } {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const record: RecordedRequest = {
    method: req.method ?? "",
    url: req.url ?? "",
    rawHeaders: req.rawHeaders,
    websocket,
    key: undefined,
    body: { bytes: 0, sha256: "", start: "" },
    ended: promise,
  };
  return { record, end: resolve };
}

/** Reads the body to its end and notes its size and digest. Rejects when the caller breaks off. */
export async function readBody(req: IncomingMessage, record: RecordedRequest): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const digest = createHash("sha256");
  for await (const chunk of req as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    digest.update(chunk);
    record.body.bytes += chunk.length;
  }
  const body = Buffer.concat(chunks);
  record.body.sha256 = digest.digest("hex");
  record.body.start = body.subarray(0, 4096).toString();
  return body;
}
