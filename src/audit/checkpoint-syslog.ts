// The third place: a syslog server, over UDP (RFC 5426), TCP (RFC 6587, octet counting) or TLS (RFC 5425). Each checkpoint is one message
// of RFC 5424, its text a JSON object in ASCII, so that no relay breaks it up or spells it otherwise.
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { connect, isIP, type Socket } from "node:net";
import { hostname } from "node:os";
import { connect as connectTls } from "node:tls";
import { systemClock } from "../platform/clock.ts";
import type { SyslogAddress } from "../platform/config.ts";
import type { Destination } from "./checkpoint-destinations.ts";

// Facility 13, log audit; severity 6, informational.
const PRIORITY = 13 * 8 + 6;
const WITHIN_MS = 10_000;
const CLOSES_WITHIN_MS = 1000;

export function syslogDestination(address: SyslogAddress): Destination {
  return {
    name: "syslog",
    async send(notes, ending) {
      const signal = AbortSignal.any([ending, AbortSignal.timeout(WITHIN_MS)]);
      const messages = notes.map(messageOf);
      signal.throwIfAborted();
      // A look-up of a name can't be stopped, and its own deadline may be a minute.
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
        // Of a socket that gets no port the callback is never called.
        socket.once("error", end);
        socket.send(message, port, address, end);
      });
    }
  } finally {
    socket.close();
  }
}

/** Resolves once all of it is with the system and the other side has closed, too, or has had a second to. */
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
  // Each wait hears of an error by itself; this is for one that comes between two.
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
  // One that keeps it open has it all the same.
  await once(socket, "close", { signal: within }).catch(() => undefined);
  signal.throwIfAborted();
}
