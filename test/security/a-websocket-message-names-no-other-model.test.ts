// OpenAI's Realtime: the handshake names the session's model, and messages name those that transcribe. An agent with a list of models
// is held to it there, too, and never has such a message reach the upstream as a whole.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";
import { createWireUpstream, openWireClient, SWITCHING, webSocketHead } from "../support/wire.ts";
import { placeOf, soughtAt } from "../support/sought.ts";
import { MessageReader } from "../../src/proxy/message-reader.ts";
import { inputs } from "../support/generated.ts";

const TARGET = "/openai/v1/realtime?model=good";

async function open(t: TestContext, origin: string) {
  const plane = await openDataPlane(t, {
    env: { X3SPROXY_ORIGIN_OPENAI: origin, X3SPROXY_ORIGIN_AZURE_OPENAI: origin },
  });
  for (const name of ["openai", "azure-openai"]) await plane.save(name);
  return { plane, token: await plane.deploy("listed", { models: ["good"] }) };
}

const update = (session: object): string => JSON.stringify({ type: "session.update", session });
const transcribing = (model: string): string =>
  update({ type: "realtime", audio: { input: { transcription: { model, language: "en" } } } });

const REFUSED: Record<string, readonly [message: string | Buffer, reason: string]> = {
  "another model for transcription": [transcribing("evil"), "model_not_allowed"],
  "the same in a binary message": [Buffer.from(transcribing("evil")), "model_not_allowed"],
  "the same in the beta's form": [
    update({ input_audio_transcription: { model: "evil" } }),
    "model_not_allowed",
  ],
  "of a session for transcription": [
    JSON.stringify({
      type: "transcription_session.update",
      session: { input_audio_transcription: { model: "evil" } },
    }),
    "model_not_allowed",
  ],
  "another model for the session": [update({ model: "evil" }), "model_not_allowed"],
  "a stored prompt": [update({ prompt: { id: "pmpt_1" } }), "model_unclear"],
  "one of a response": [
    JSON.stringify({ type: "response.create", response: { prompt: { id: "pmpt_1" } } }),
    "model_unclear",
  ],
  "two documents": [`${transcribing("good")}\n${transcribing("evil")}`, "model_unclear"],
  "an empty message": ["", "model_unclear"],
  "no JSON": [randomBytes(40), "model_unclear"],
};

for (const [what, [message, reason]] of Object.entries(REFUSED)) {
  test(`${what} ends the WebSocket before it is whole at the upstream`, async (t) => {
    const upstream = await createEcho({ perMessageDeflate: true });
    t.after(() => upstream.close());
    const { plane, token } = await open(t, upstream.origin);
    for (const target of [TARGET, "/azure-openai/openai/realtime?deployment=good"]) {
      const socket = await openWebSocket(plane.url + target, {
        headers: { authorization: `Bearer ${token}`, "api-key": token },
      });
      assert.equal(socket.extensions, "", "compressed messages can't be read");
      const received: string[] = [];
      upstream.sockets.at(-1)?.on("message", (data: Buffer) => received.push(data.toString()));
      socket.send(transcribing("good"));
      assert.equal(String((await once(socket, "message"))[0]), transcribing("good"));
      socket.send(message);
      socket.send(transcribing("good"));
      const [code, text] = (await once(socket, "close")) as [number, Buffer];
      assert.deepEqual([code, text.toString()], [1008, reason]);
      const line = await plane.exchange();
      assert.equal(line["outcome"], "cut");
      assert.equal(line["cutBy"], reason);
      await eventually(() => upstream.sockets.at(-1)?.readyState === 3);
      assert.deepEqual(received, [transcribing("good")]);
    }
  });
}

test("messages that name no other model pass, in fragments and between control frames", async (t) => {
  const upstream = await createEcho();
  t.after(() => upstream.close());
  const { plane, token } = await open(t, upstream.origin);
  const headers = { authorization: `Bearer ${token}` };
  const socket = await openWebSocket(plane.url + TARGET, { headers });
  const messages = [
    transcribing("good"),
    JSON.stringify({ type: "input_audio_buffer.append", audio: "A".repeat(200_000) }),
    JSON.stringify({ type: "conversation.item.create", item: { model: "evil", tools: [{}] } }),
    update({ tools: [{ type: "function", name: "x", parameters: { model: "evil" } }] }),
    update({ instructions: '{"session":{"model":"evil"}}' }),
  ];
  for (const message of messages) {
    const answer = once(socket, "message");
    const middle = Math.floor(message.length / 2);
    socket.send(message.slice(0, middle), { fin: false });
    socket.ping("x");
    socket.send(message.slice(middle));
    assert.equal(String((await answer)[0]), message);
  }
  const closed = once(socket, "close");
  socket.close(4321, "enough");
  assert.equal((await closed)[0], 4321);
  assert.equal((await plane.exchange())["outcome"], "completed");
});

/** A masked frame. */
function frame(opcode: number, payload: Buffer, isFinal = true): Buffer {
  const mask = randomBytes(4);
  const { length } = payload;
  const long = Buffer.alloc(8);
  long.writeBigUInt64BE(BigInt(length));
  const lengthBytes = length < 126 ? [] : [...(length < 65_536 ? long.subarray(6) : long)];
  const short = lengthBytes.length === 0 ? length : lengthBytes.length === 2 ? 126 : 127;
  const head = [(isFinal ? 0x80 : 0) | opcode, 0x80 | short, ...lengthBytes, ...mask];
  return Buffer.concat([Buffer.from(head), payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
}

test("what a client sends before the upstream's consent is read, too", async (t) => {
  const upstream = await createWireUpstream(({ socket }) => {
    socket.once("data", () => setImmediate(() => socket.write(SWITCHING)));
  });
  t.after(() => upstream.close());
  const { plane, token } = await open(t, upstream.origin);
  const client = await openWireClient(plane.port);
  client.send(webSocketHead(token, TARGET));
  client.send(frame(1, Buffer.from(transcribing("evil"))));
  await client.ended();
  const [connection] = upstream.connections;
  await eventually(() => connection?.socket.destroyed === true);
  assert.ok(connection?.received().endsWith("\r\n\r\n"), "nothing came behind the handshake");
  assert.equal((await plane.exchange())["cutBy"], "model_not_allowed");
});

test("frames that no client sends are unclear", () => {
  const good = Buffer.from(transcribing("good"));
  const change = (bytes: Buffer, at: number, bits: number): Buffer => {
    bytes[at] = (bytes[at] ?? 0) ^ bits;
    return bytes;
  };
  const odd: Record<string, Buffer> = {
    "a compressed message": change(frame(1, good), 0, 0x40),
    "a reserved bit": change(frame(1, good), 0, 0x10),
    "no mask": change(frame(1, good), 1, 0x80),
    "a continuation of nothing": frame(0, good),
    "a message within one": Buffer.concat([frame(1, good, false), frame(1, good)]),
    "an unknown kind": frame(3, good),
  };
  for (const [what, bytes] of Object.entries(odd)) {
    assert.equal(newReader().take(bytes), "model_unclear", what);
  }
});

function newReader(): MessageReader {
  const place = placeOf("openai", "/v1/realtime", "WEBSOCKET");
  return new MessageReader(soughtAt(place, (model) => model === "good"));
}

test("messages are judged alike however they are cut into frames and pieces", () => {
  const model = fc.constantFrom("good", "good", "good", "evil", "", 1);
  const message = fc.record({ model, pad: fc.nat(300) }).map((it) => ({
    isAllowed: it.model === "good",
    bytes: Buffer.from(
      JSON.stringify({
        session: { audio: { input: { transcription: { model: it.model } } } },
        pad: "é".repeat(it.pad),
      }),
    ),
  }));
  const cuts = fc.array(fc.nat(700), { maxLength: 4 });
  let refused = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(message, cuts), { maxLength: 4 }),
      fc.array(fc.nat(3000), { maxLength: 20 }),
      (messages, pieces) => {
        const frames = messages.flatMap(([{ bytes }, places]) => {
          const at = [...new Set([0, ...places.filter((place) => place < bytes.length)])].sort(
            (a, b) => a - b,
          );
          return at.flatMap((from, i) => [
            frame(i === 0 ? 1 : 0, bytes.subarray(from, at[i + 1]), i === at.length - 1),
            frame(9, Buffer.from("ping")),
          ]);
        });
        const all = Buffer.concat(frames);
        const reader = newReader();
        const at = [...pieces.filter((place) => place < all.length), all.length].sort(
          (a, b) => a - b,
        );
        let from = 0;
        for (const to of at) {
          reader.take(all.subarray(from, to));
          from = to;
        }
        const isAllowed = messages.every(([it]) => it.isAllowed);
        assert.equal(reader.end() === undefined, isAllowed);
        if (!isAllowed) refused++;
      },
    ),
    inputs(14, 500),
  );
  assert.ok(refused > 50);
});
