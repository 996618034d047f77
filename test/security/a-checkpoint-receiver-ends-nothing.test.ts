// Receivers of checkpoints over TCP and TLS that stop at any point: each is a failure of that sending, in time, and nothing else.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { syslogDestination } from "../../src/audit/checkpoint-destinations.ts";
import { inputs } from "../support/generated.ts";

// More than two sockets keep.
const MANY = Array.from({ length: 2500 }, (_, i) => `${i} `.padEnd(4000, "x"));
const WITHIN_MS = 10_000;
const SEED = 7;

/** What a receiver does once it has read so many bytes. */
const ENDINGS = {
  "stops reading": (socket: Socket) => socket.pause(),
  "closes at once": (socket: Socket) => socket.destroy(),
  "resets the connection": (socket: Socket) => socket.resetAndDestroy(),
  "says that it is done, and reads no more": (socket: Socket) => socket.pause().end(),
  "talks without end": (socket: Socket) => {
    const talk = (): void => {
      while (socket.write(Buffer.alloc(65_536)));
    };
    socket.on("drain", talk).pause();
    talk();
  },
} as const;
type Ending = keyof typeof ENDINGS;

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

test("whatever it does, and whenever", async (t) => {
  const unheard: unknown[] = [];
  const hear = (reason: unknown): void => void unheard.push(reason);
  process.on("unhandledRejection", hear);
  process.on("uncaughtException", hear);
  t.after(() => {
    process.off("unhandledRejection", hear);
    process.off("uncaughtException", hear);
  });
  const cases = fc.sample(
    fc.record({
      ending: fc.constantFrom(...(Object.keys(ENDINGS) as Ending[])),
      afterBytes: fc.constantFrom(0, 1, 5000, 300_000),
      protocol: fc.constantFrom("tcp", "tls"),
    }),
    inputs(SEED, 14),
  );
  await Promise.all(
    cases.map(async ({ ending, afterBytes, protocol }) => {
      const sockets: Socket[] = [];
      const server = createServer((socket) => {
        sockets.push(socket.on("error", () => undefined));
        let bytes = 0;
        const look = (): void => {
          if (bytes < afterBytes) return;
          socket.off("data", take);
          ENDINGS[ending](socket);
        };
        const take = (chunk: Buffer): void => {
          bytes += chunk.length;
          look();
        };
        socket.on("data", take);
        look();
      });
      const port = await listen(server);
      const startMs = performance.now();
      const { signal } = new AbortController();
      const destination = syslogDestination({ protocol, host: "127.0.0.1", port });
      const what = `${protocol}, ${ending} after ${afterBytes} bytes`;
      await assert.rejects(destination.send(MANY, signal), what);
      assert.ok(performance.now() - startMs < WITHIN_MS + 2000, what);
      for (const socket of sockets) socket.destroy();
      server.close();
    }),
  );
  assert.deepEqual(unheard, []);
});

test("the end of the service ends a sending at once, and one that is done already is no failure", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on("error", () => undefined).pause());
  });
  const port = await listen(server);
  const ending = new AbortController();
  const destination = syslogDestination({ protocol: "tcp", host: "127.0.0.1", port });
  const connected = once(server, "connection");
  const refused = assert.rejects(destination.send(MANY, ending.signal), { name: "AbortError" });
  await connected;
  ending.abort();
  await refused;
  // So little that the system has it: whether it is read is the receiver's affair.
  await destination.send(["short"], new AbortController().signal);
  for (const socket of sockets) socket.destroy();
  server.close();
});
