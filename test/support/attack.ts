// An attacker's seat: requests as raw bytes on one side, and on the other everything that reached the upstream.
import type { TestContext } from "node:test";
import { openDataPlane, type DataPlane } from "./data-plane.ts";
import { createCannedUpstream, openWireClient, type WireUpstream } from "./wire.ts";

export const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/** The key that a client brings along, which must neither pass nor be echoed. */
export const FOREIGN_KEY = "sk-FAKE-foreign-key-0123456789";

export interface Answer {
  readonly status: number;
  /** Field lines in order, names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  /** The first value of a field. */
  readonly header: (name: string) => string | undefined;
  readonly body: string;
  /** All of it, latin1. */
  readonly text: string;
}

export interface Target {
  readonly plane: DataPlane;
  readonly token: string;
  readonly upstream: WireUpstream;
  /** Sends a request line and field lines, with a Host and `Connection: close` unless they are among them. */
  readonly ask: (lines: readonly string[], body?: string) => Promise<Answer>;
  /** What has reached the upstream since the last call of this. */
  readonly sent: () => string;
}

/** A data plane whose `providers` all lead to one upstream, with a key saved for each and an agent deployed. */
export async function openTarget(
  t: TestContext,
  o: {
    providers?: readonly string[];
    env?: Record<string, string>;
    answer?: string;
  } = {},
): Promise<Target> {
  const providers = o.providers ?? ["openai"];
  const upstream = await createCannedUpstream(Buffer.from(o.answer ?? OK, "latin1"));
  t.after(() => upstream.close());
  const origins = providers.map((name) => [
    `X3SPROXY_ORIGIN_${name.toUpperCase().replaceAll("-", "_")}`,
    upstream.origin,
  ]);
  const plane = await openDataPlane(t, {
    env: { ...(Object.fromEntries(origins) as Record<string, string>), ...o.env },
  });
  for (const name of providers) await plane.save(name);
  let seen = 0;
  return {
    plane,
    upstream,
    token: await plane.deploy(),
    ask: (lines, body) => ask(plane.port, lines, body),
    sent() {
      const all = upstream.connections.map((connection) => connection.received()).join("");
      const fresh = all.slice(seen);
      seen = all.length;
      return fresh;
    },
  };
}

/** One request on a connection of its own; see Target.ask. */
export function ask(port: number, lines: readonly string[], body = ""): Promise<Answer> {
  const [line = "", ...fields] = lines;
  const has = (name: string): boolean =>
    fields.some((field) => new RegExp(`^${name}:`, "i").test(field));
  if (!has("host")) fields.push("Host: proxy");
  if (!has("connection")) fields.push("Connection: close");
  return askRaw(port, [line, ...fields, "", body].join("\r\n"));
}

/** Sends bytes (latin1) and reads the answer until the connection ends. */
export async function askRaw(port: number, bytes: string): Promise<Answer> {
  const client = await openWireClient(port);
  client.send(Buffer.from(bytes, "latin1"));
  await client.ended();
  return parseAnswer(client.received());
}

/** Reads an HTTP/1.1 answer that is complete; a chunked body is left as it is. */
export function parseAnswer(text: string): Answer {
  const end = text.indexOf("\r\n\r\n");
  const [line = "", ...fields] = text.slice(0, end).split("\r\n");
  const headers = fields.map((field): [string, string] => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  });
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1]),
    headers,
    header: (name) => headers.find(([field]) => field === name)?.[1],
    body: text.slice(end + 4),
    text,
  };
}
