// An upstream that refuses a body may close without reading it. What it said has come by then, and the write that fails must not lose it.
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { createServer, type TLSSocket } from "node:tls";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createAuthority } from "../support/authority.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService } from "../support/service.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const ROUNDS = 200;
const BLOCK = Buffer.alloc(256 * 1024, "x");
const CHUNK = Buffer.concat([Buffer.from("40000\r\n"), BLOCK, Buffer.from("\r\n")]);

/** How it answers and goes. None of them reads on. */
const ENDS: ((socket: Socket, answer: string) => void)[] = [
  (socket, answer) => void socket.write(answer, () => socket.destroy()),
  (socket, answer) => void socket.end(answer, () => socket.destroy()),
  (socket, answer) => void socket.write(answer, () => socket.resetAndDestroy()),
];
const FRAMINGS = ["content-length: 100000000", "transfer-encoding: chunked"];

/** Sends the beginning of a body without end until there is an answer, and gives that. */
async function upload(port: number, token: string, n: number) {
  const framing = FRAMINGS[n % FRAMINGS.length] ?? "";
  const client = await openWireClient(port);
  client.send(head(token, `/openai/v1/${n}`, { method: "POST", headers: [framing] }));
  const block = framing.startsWith("t") ? CHUNK : BLOCK;
  const send = (): void => {
    while (!client.socket.destroyed && client.socket.write(block));
  };
  client.socket.on("drain", send);
  send();
  const answer = await client.answer();
  client.socket.removeListener("drain", send);
  client.socket.destroy();
  return answer;
}

const answerOf = (n: number): string =>
  `HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\n${n % 3 === 0 ? "connection: close\r\n" : ""}\r\ntoo large`;

test(`an upstream answers and closes while a body streams to it, ${ROUNDS} times`, async (t) => {
  let round = 0;
  const upstream = await createWireUpstream(({ socket }) => {
    socket.once("data", () => {
      socket.pause();
      ENDS[round % ENDS.length]?.(socket, answerOf(round));
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  for (; round < ROUNDS; round++) {
    const answer = await upload(plane.port, plane.token, round);
    assert.equal(answer.status, 413, `round ${round}: ${answer.body}`);
    assert.equal(answer.body, "too large");
    const line = await plane.exchange((one) => one["path"] === `/v1/${round}`);
    assert.equal(line["outcome"], "completed");
  }
});

test("the same over TLS", async (t) => {
  const [authority, database] = await Promise.all([createAuthority(), createTestDatabase()]);
  t.after(() => Promise.all([authority.remove(), database.drop()]));
  let round = 0;
  const server = createServer(await authority.issue(), (socket: TLSSocket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.pause();
      socket.write(answerOf(round), () => {
        if (round % 2 === 0) socket.destroy();
        else socket.end();
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const service = await runService({
    database,
    env: {
      X3SPROXY_ORIGIN_OPENAI: `https://127.0.0.1:${port}`,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
      NODE_EXTRA_CA_CERTS: authority.file,
    },
  });
  t.after(() => service.remove());
  await service.setSecret("openai", "sk-proj-FAKE-openai-key-for-tests-0000-2222");
  const token = await service.deploy("agent");
  for (; round < 40; round++) {
    const answer = await upload(Number(new URL(service.proxyUrl).port), token, round);
    assert.equal(answer.status, 413, `round ${round}: ${answer.body}`);
    assert.equal(answer.body, "too large");
  }
});

test("one that closes without an answer is still a refusal, and nothing stays open", async (t) => {
  const upstream = await createWireUpstream(({ socket }) => {
    socket.once("data", () => {
      socket.pause();
      socket.resetAndDestroy();
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  for (let round = 0; round < 20; round++) {
    const answer = await upload(plane.port, plane.token, round);
    assert.equal(answer.header("x3sproxy-refusal"), "upstream_unreachable");
  }
});

test("an answer whose end only the connection's end tells is broken off when that was reset", async (t) => {
  const upstream = await createWireUpstream(({ socket }) => {
    socket.once("data", () => {
      socket.pause();
      socket.write("HTTP/1.1 413 Content Too Large\r\n\r\ntoo lar", () => socket.resetAndDestroy());
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  const send = (): void => {
    while (!client.socket.destroyed && client.socket.write(BLOCK));
  };
  client.socket.on("drain", send);
  client.send(
    head(plane.token, "/openai/v1/files", { method: "POST", headers: [FRAMINGS[0] ?? ""] }),
  );
  send();
  assert.equal(await client.ended(), "reset");
  assert.equal((await plane.exchange())["outcome"], "upstream_broke");
});
