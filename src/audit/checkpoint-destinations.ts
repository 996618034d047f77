// The destinations that checkpoints are sent to: a file, a URL, a syslog server. Must reject when it isn't certain that they arrived.
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { connect, isIP, type Socket } from "node:net";
import { hostname } from "node:os";
import { connect as connectTls } from "node:tls";
import { Agent, request } from "undici";
import { systemClock } from "../platform/clock.ts";
import type { SyslogAddress } from "../platform/config.ts";

/** A destination of checkpoints. */
export interface Destination {
  readonly name: "file" | "url" | "syslog";
  /** Rejects when it isn't certain that all have arrived. After that some may be sent twice. */
  send(notes: readonly string[], signal: AbortSignal): Promise<void>;
}

const WITHIN_MS = 10_000;
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
// Without O_NONBLOCK, opening a named pipe waits for a reader, and so would the stop of the service.
const FLAGS = O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK;

/**
 * Appends each checkpoint to a file (mode 0600 if new), and waits until it is on disk. An empty line before each separates it from one
 * that a failure left incomplete.
 */
export function fileDestination(path: string): Destination {
  return {
    name: "file",
    async send(notes) {
      const file = await open(path, FLAGS, 0o600);
      try {
        await file.writeFile(notes.map((note) => `\n${note}`).join(""));
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

/** The server refused a checkpoint. The code includes the status. */
class RefusedError extends Error {
  override name = "RefusedError";
  readonly code: string;

  constructor(status: number) {
    super("the checkpoint was refused");
    this.code = `HTTP_${status}`;
  }
}

/** POSTs each checkpoint as text/plain. Always verifies the certificate, and never follows a redirect. */
export function urlDestination(text: string): Destination {
  const url = new URL(text);
  const { username, password } = url;
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(user, "utf8").toString("base64")}`;
  url.username = "";
  url.password = "";
  return {
    name: "url",
    async send(notes, signal) {
      const dispatcher = new Agent({
        connect: { timeout: WITHIN_MS, rejectUnauthorized: true },
        allowH2: false,
      });
      try {
        for (const note of notes) {
          const { statusCode, body } = await request(url, {
            method: "POST",
            headers: {
              "content-type": "text/plain; charset=utf-8",
              ...(user !== ":" && { authorization }),
            },
            body: note,
            dispatcher,
            signal: AbortSignal.any([signal, AbortSignal.timeout(WITHIN_MS)]),
          });
          await body.dump();
          if (statusCode < 200 || statusCode > 299) throw new RefusedError(statusCode);
        }
      } finally {
        await dispatcher.destroy();
      }
    },
  };
}

// RFC 5424, 6.2.1: facility 13 (log audit), severity 6 (informational).
const PRIORITY = 13 * 8 + 6;
const CLOSES_WITHIN_MS = 1000;

/**
 * Sends each checkpoint as one message of RFC 5424, over UDP (RFC 5426), TCP (RFC 6587, octet counting) or TLS (RFC 5425). Its text is a
 * JSON object in ASCII, so that no relay splits or re-encodes it.
 */
export function syslogDestination(address: SyslogAddress): Destination {
  return {
    name: "syslog",
    async send(notes, ending) {
      const signal = AbortSignal.any([ending, AbortSignal.timeout(WITHIN_MS)]);
      const messages = notes.map(messageOf);
      signal.throwIfAborted();
      // A DNS look-up can't be aborted, and may take a minute.
      const stopped = once(signal, "abort").then(() => signal.throwIfAborted());
      const sending =
        address.protocol === "udp"
          ? sendDatagrams(address, messages)
          : sendStream(address, messages, signal);
      await Promise.race([sending, stopped]);
    },
  };
}

function messageOf(note: string): Buffer {
  const at = new Date(systemClock.nowMs()).toISOString();
  const host =
    hostname()
      .replace(/[^!-~]/g, "")
      .slice(0, 255) || "-";
  const text = JSON.stringify({ note }).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return Buffer.from(`<${PRIORITY}>1 ${at} ${host} x3sproxy ${process.pid} checkpoint - ${text}`);
}

async function sendDatagrams({ host, port }: SyslogAddress, messages: Buffer[]): Promise<void> {
  const { address, family } = await lookup(host);
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  try {
    for (const message of messages) {
      await new Promise<void>((resolve, reject) => {
        const end = (error: Error | null): void => {
          socket.off("error", end);
          if (error === null) resolve();
          else reject(error);
        };
        // If the socket can't be bound, the callback is never called.
        socket.once("error", end);
        socket.send(message, port, address, end);
      });
    }
  } finally {
    socket.close();
  }
}

/** Resolves once all is handed to the operating system, and the server has closed the connection or a second has passed. */
async function sendStream(
  { protocol, host, port }: SyslogAddress,
  messages: readonly Buffer[],
  signal: AbortSignal,
): Promise<void> {
  const servername = isIP(host) === 0 ? { servername: host } : {};
  const socket: Socket =
    protocol === "tls"
      ? connectTls({ host, port, ...servername, rejectUnauthorized: true, minVersion: "TLSv1.2" })
      : connect({ host, port });
  // Each `once` below gets errors. This handles an error between two of them.
  socket.on("error", () => undefined);
  try {
    await once(socket, protocol === "tls" ? "secureConnect" : "connect", { signal });
    socket.resume();
    socket.end(Buffer.concat(messages.flatMap((it) => [Buffer.from(`${it.length} `), it])));
    await once(socket, "finish", { signal });
    if (!socket.closed) await closed(socket, signal);
    if (socket.errored !== null) throw socket.errored;
  } finally {
    socket.destroy();
  }
}

async function closed(socket: Socket, signal: AbortSignal): Promise<void> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(CLOSES_WITHIN_MS)]);
  // A server that keeps the connection open has the messages, too.
  await once(socket, "close", { signal: within }).catch(() => undefined);
  signal.throwIfAborted();
}
