import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createBodyHash, createHeldMeter, flood, heldMb, type Flood } from "../support/flood.ts";
import { atRest } from "../support/steady.ts";
import { head } from "../support/wire.ts";

const BYTES = 200 * 1024 * 1024;
// Four socket buffers of the system lie on the way, a few megabytes each; ours add little to them.
const ON_THE_WAY = 32 * 1024 * 1024;

test("a client that does not read stops the upstream, and gets everything when it reads on", async (t) => {
  let flooding: Flood | undefined;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${BYTES}\r\n\r\n`);
      flooding = flood(socket, BYTES, () => undefined);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const plane = await openWithUpstream(
    t,
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  );

  const client: Socket = connect(plane.port, "127.0.0.1");
  client.write(head(plane.token, "/openai/v1/files/f/content"));
  const beforeMb = heldMb();
  const stopped = await atRest(() => flooding?.sent ?? 0);
  assert.ok(stopped < ON_THE_WAY, `${stopped} bytes were taken from the upstream`);

  const received = createBodyHash();
  const held = createHeldMeter();
  client.on("data", (chunk: Buffer) => {
    received.add(chunk);
    held.add(chunk.length);
  });
  await eventually(() => received.bytes === BYTES, 20_000);
  assert.equal(received.digest(), flooding?.digest);
  const grownMb = held.highestMb() - beforeMb;
  assert.ok(grownMb < 64, `${grownMb} MB of buffers were held`);
  client.destroy();
});
