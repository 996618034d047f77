// OpenAI's Realtime API over WebSocket through the proxy: both ways in which clients carry the key, and the SDK's own client.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { WebSocket, type ClientOptions } from "ws";
import {
  startLookAlikeBehindProxy,
  type LookAlikeBehindProxy,
} from "../support/look-alike-behind-proxy.ts";

let world: LookAlikeBehindProxy;
before(async () => (world = await startLookAlikeBehindProxy()));
after(() => world.close());

interface ServerEvent {
  type: string;
  delta?: string;
  name?: string;
  arguments?: string;
  error?: { code: string };
}

/** Opens a socket and keeps what comes; `until` waits for an event of that type. */
function open(protocols: string[], options: ClientOptions = {}) {
  const url = `${world.baseUrl("openai").replace("http", "ws")}/v1/realtime?model=look-alike`;
  const socket = new WebSocket(url, protocols, options);
  const events: ServerEvent[] = [];
  socket.on("message", (data: Buffer) => events.push(JSON.parse(data.toString()) as ServerEvent));
  const closed = once(socket, "close").then(([code]) => code as number);
  const until = async (type: string): Promise<void> => {
    while (!events.some((event) => event.type === type)) await once(socket, "message");
  };
  const send = (...messages: object[]): void => {
    for (const message of messages) socket.send(JSON.stringify(message));
  };
  const say = (text: string): void => {
    const item = { type: "message", role: "user", content: [{ type: "input_text", text }] };
    send({ type: "conversation.item.create", item }, { type: "response.create" });
  };
  const text = () => events.map((event) => event.delta ?? "").join("");
  return { socket, events, closed, until, send, say, text };
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

describe("OpenAI Realtime", () => {
  test("with the token in the header: session, question, answer in pieces", async () => {
    const realtime = open([], bearer(world.token));
    await realtime.until("session.created");
    realtime.say("hello");
    await realtime.until("response.done");
    assert.match(realtime.text(), /called with the key sk-proj-…2222/);
    assert.ok(realtime.events.filter(({ delta }) => delta !== undefined).length > 5);
    const { ended, websocket, url } = world.lastRequest();
    assert.deepEqual([websocket, url], [true, "/v1/realtime?model=look-alike"]);
    realtime.socket.close();
    assert.equal(await realtime.closed, 1005);
    assert.equal(await ended, "answered");
  });

  test("with the token in the subprotocol, as in a browser", async () => {
    const realtime = open(["realtime", `openai-insecure-api-key.${world.token}`]);
    await realtime.until("session.created");
    assert.equal(realtime.socket.protocol, "realtime");
    realtime.say("hello");
    await realtime.until("response.done");
    assert.match(realtime.text(), /…2222/);
    assert.equal(world.lastRequest().key?.provider, "openai");
    realtime.socket.close();
    await realtime.closed;
  });

  test("by the SDK's own client, TLS in front of the proxy", async () => {
    const front = createTlsServer(await world.authority.issue(), (socket) => {
      const inner = connect(Number(new URL(world.service.proxyUrl).port), "127.0.0.1");
      socket.pipe(inner).pipe(socket);
      for (const end of [socket, inner]) end.on("error", () => end.destroy());
    }).listen(0, "127.0.0.1");
    await once(front, "listening");
    const { port } = front.address() as AddressInfo;
    const client = new OpenAI({
      baseURL: `https://127.0.0.1:${port}/openai/v1`,
      apiKey: world.token,
    });
    const options = { ca: world.authority.certificate };
    const realtime = await OpenAIRealtimeWS.create(client, { model: "look-alike", options });
    const text = await new Promise<string>((resolve, reject) => {
      let heard = "";
      realtime.on("error", reject);
      realtime.on("session.created", () => {
        const content = [{ type: "input_text" as const, text: "hello" }];
        const item = { type: "message" as const, role: "user" as const, content };
        realtime.send({ type: "conversation.item.create", item });
        realtime.send({ type: "response.create" });
      });
      realtime.on("response.output_text.delta", ({ delta }) => (heard += delta));
      realtime.on("response.done", () => resolve(heard));
    });
    assert.match(text, /…2222/);
    realtime.close();
    await once(realtime.socket, "close");
    front.close();
  });

  test("calls a tool", async () => {
    const realtime = open([], bearer(world.token));
    await realtime.until("session.created");
    const tools = [{ type: "function", name: "weather" }];
    realtime.send({ type: "session.update", session: { type: "realtime", tools } });
    realtime.say("use the tool");
    await realtime.until("response.done");
    const call = realtime.events.find(
      ({ type }) => type === "response.function_call_arguments.done",
    );
    assert.deepEqual([call?.name, call?.arguments], ["weather", '{"city":"Paris"}']);
    realtime.socket.close();
    await realtime.closed;
  });

  test("passes on the upstream's own refusal of a key", async () => {
    world.lookAlike.setKeys("openai", []);
    try {
      const realtime = open([], bearer(world.token));
      assert.equal(await realtime.closed, 3000);
      assert.equal(realtime.events[0]?.error?.code, "invalid_api_key");
    } finally {
      world.lookAlike.setKeys("openai", [world.keys.openai]);
    }
  });

  test("ends at both sides when either leaves", async () => {
    const left = open([], bearer(world.token));
    await left.until("session.created");
    left.socket.terminate();
    await world.assertAbandoned();

    const cut = open([], bearer(world.token));
    await cut.until("session.created");
    cut.say("break");
    assert.equal(await cut.closed, 1006);
  });

  test("is closed within a second of the agent's destruction", async () => {
    const token = await world.service.deploy("short-lived");
    const realtime = open([], bearer(token));
    await realtime.until("session.created");
    realtime.say("slow");
    await realtime.until("response.output_text.delta");
    await world.service.cliJson(["agent", "destroy", "short-lived"]);
    const late = sleep(1000, "still open", { ref: false });
    assert.notEqual(await Promise.race([realtime.closed, late]), "still open");
    await world.assertAbandoned();
  });

  test("is refused with our message and nothing upstream", async () => {
    await world.assertNothingUpstream(async () => {
      for (const [token, expected] of [
        [world.keylessToken, 403],
        [`x3sproxy_${"A".repeat(32)}`, 401],
      ] as const) {
        for (const [protocols, options] of [
          [[], bearer(token)],
          [["realtime", `openai-insecure-api-key.${token}`], {}],
        ] as const) {
          const { socket } = open([...protocols], options);
          const response = await new Promise<IncomingMessage>((resolve) => {
            socket.on("unexpected-response", (_request, answer) => resolve(answer));
          });
          assert.equal(response.statusCode, expected);
          const body = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>));
          const { error } = JSON.parse(body.toString()) as { error: { message: string } };
          assert.match(error.message, expected === 403 ? /OpenAI.*Secrets tab/ : /not valid/);
        }
      }
    });
  });

  test("leaves no token upstream and no key in the log", () => world.assertNothingLeaked());
});
