// Load on whatever serves the data plane: each call on a connection of its own, so that all processes behind one address get their
// share, and an upstream that says which key it was called with.
import { once } from "node:events";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

const CHUNK_EVERY_MS = 50;

/** What came of a call; without a status: no whole answer. */
export interface Seen {
  readonly startMs: number;
  readonly endMs: number;
  readonly status: number | undefined;
  readonly refusal: string | undefined;
  /** The last four characters of the key that arrived upstream. */
  readonly keyEnding: string | undefined;
}

export interface Stream {
  /** Its client leaves. */
  leave(): void;
  /** Whether it ended whole, and when. */
  readonly ended: Promise<{ readonly whole: boolean; readonly endMs: number }>;
}

/** `/v1/models` answers with the key's ending; `/v1/stream?for=<ms>` streams for that long, and ends with [DONE]. */
export async function startUpstream(): Promise<{
  readonly origin: string;
  /** The endings of the keys of all calls so far, in order. */
  readonly keyEndings: readonly string[];
  close(): Promise<void>;
}> {
  const keyEndings: string[] = [];
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    const keyEnding = (incoming.headers.authorization ?? "").slice(-4);
    keyEndings.push(keyEnding);
    const { pathname, searchParams } = new URL(incoming.url ?? "", "http://upstream");
    if (!pathname.endsWith("/stream")) {
      outgoing.end(JSON.stringify({ keyEnding }));
      return;
    }
    outgoing.writeHead(200, { "content-type": "text/event-stream" });
    outgoing.write("data: begin\n\n");
    const timer = setInterval(() => outgoing.write("data: more\n\n"), CHUNK_EVERY_MS);
    const end = setTimeout(
      () => outgoing.end("data: [DONE]\n\n"),
      Number(searchParams.get("for") ?? 3_600_000),
    );
    outgoing.on("close", () => {
      clearInterval(timer);
      clearTimeout(end);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keyEndings,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** One call on a connection of its own. */
export async function callOnce(proxyUrl: string, token: string): Promise<Seen> {
  const startMs = performance.now();
  const nothing = { status: undefined, refusal: undefined, keyEnding: undefined };
  try {
    const incoming = await begin(`${proxyUrl}/openai/v1/models`, token);
    let text = "";
    for await (const chunk of incoming.setEncoding("utf8")) text += String(chunk);
    const refusal = incoming.headers["x3sproxy-refusal"] as string | undefined;
    const keyEnding =
      incoming.statusCode === 200
        ? (JSON.parse(text) as { keyEnding: string }).keyEnding
        : undefined;
    const endMs = performance.now();
    return { startMs, endMs, status: incoming.statusCode, refusal, keyEnding };
  } catch {
    return { startMs, endMs: performance.now(), ...nothing };
  }
}

/** A stream that has begun. Rejects when it is refused. */
export async function openStream(
  proxyUrl: string,
  token: string,
  forMs = 3_600_000,
): Promise<Stream> {
  const incoming = await begin(`${proxyUrl}/openai/v1/stream?for=${forMs}`, token);
  if (incoming.statusCode !== 200) throw new Error(`the stream got ${incoming.statusCode}`);
  let text = "";
  incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const ended = new Promise<{ whole: boolean; endMs: number }>((resolve) => {
    incoming.on("error", () => undefined);
    incoming.on("close", () => {
      const whole = incoming.complete && text.endsWith("data: [DONE]\n\n");
      resolve({ whole, endMs: performance.now() });
    });
  });
  await once(incoming, "data");
  return { ended, leave: () => void incoming.destroy() };
}

/** Calls every `everyMs` until it is stopped, whether or not the earlier answers are there. */
export function keepCalling(
  proxyUrl: string | (() => string),
  token: string,
  everyMs: number,
): {
  readonly seen: readonly Seen[];
  stop(): Promise<readonly Seen[]>;
} {
  const seen: Seen[] = [];
  const open = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const url = typeof proxyUrl === "string" ? proxyUrl : proxyUrl();
    const call = callOnce(url, token).then((it) => {
      seen.push(it);
      open.delete(call);
    });
    open.add(call);
  }, everyMs);
  timer.unref(); // a test that fails must be able to end
  return {
    seen,
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      return seen;
    },
  };
}

/** How many calls had which end: a refusal's reason, else the status, else "broken". */
export function tally(seen: readonly Seen[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status, refusal } of seen) {
    const end = refusal ?? (status === undefined ? "broken" : String(status));
    counts[end] = (counts[end] ?? 0) + 1;
  }
  return counts;
}

async function begin(url: string, token: string): Promise<IncomingMessage> {
  const outgoing = request(url, { headers: { authorization: `Bearer ${token}` }, agent: false });
  outgoing.end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  outgoing.on("error", () => undefined);
  return incoming;
}
