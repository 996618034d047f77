// Google's Live API over WebSocket through the proxy, by the official @google/genai package: the token comes in the query.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  FunctionResponse,
  GoogleGenAI,
  LiveSendToolResponseParameters,
  type LiveServerMessage,
  type Session,
} from "@google/genai";
import {
  rejection,
  startLookAlikeBehindProxy,
  type LookAlikeBehindProxy,
} from "../support/look-alike-behind-proxy.ts";

let world: LookAlikeBehindProxy;
before(async () => (world = await startLookAlikeBehindProxy()));
after(() => world.close());

/** Connects as an agent does; `until` waits for a message that satisfies. */
async function connect(token = world.token, config = {}) {
  const messages: LiveServerMessage[] = [];
  let wake = Promise.withResolvers<undefined>();
  const closed = Promise.withResolvers<number>();
  const session: Session = await new GoogleGenAI({
    apiKey: token,
    httpOptions: { baseUrl: world.baseUrl("gemini") },
  }).live.connect({
    model: "look-alike",
    config,
    callbacks: {
      onmessage(message) {
        messages.push(message);
        wake.resolve(undefined);
        wake = Promise.withResolvers();
      },
      onclose: ({ code }) => closed.resolve(code),
    },
  });
  const until = async (satisfies: (message: LiveServerMessage) => boolean): Promise<void> => {
    while (!messages.some(satisfies)) await wake.promise;
  };
  const text = () => messages.map((message) => message.text ?? "").join("");
  return { session, messages, until, text, closed: closed.promise };
}

const turnIsComplete = (message: LiveServerMessage) => message.serverContent?.turnComplete === true;

describe("Gemini Live", () => {
  test("answers in pieces, with the real key upstream and no token", async () => {
    const live = await connect();
    live.session.sendClientContent({ turns: "hello", turnComplete: true });
    await live.until(turnIsComplete);
    assert.match(live.text(), /called with the key …3333/);
    const { websocket, url, key } = world.lastRequest();
    assert.deepEqual([websocket, key?.provider], [true, "gemini"]);
    assert.match(url, /^\/ws\/google\.ai\.generativelanguage\.\w+\.GenerativeService\.Bidi/);
    live.session.close();
    await live.closed;
  });

  test("calls a function and brings its result", async () => {
    const live = await connect(world.token, {
      tools: [{ functionDeclarations: [{ name: "weather" }] }],
    });
    live.session.sendClientContent({ turns: "use the tool", turnComplete: true });
    await live.until((message) => message.toolCall !== undefined);
    const call = live.messages.find(({ toolCall }) => toolCall)?.toolCall?.functionCalls?.[0];
    assert.deepEqual([call?.name, call?.args], ["weather", { city: "Paris" }]);
    const response = Object.assign(new FunctionResponse(), {
      id: call?.id,
      name: "weather",
      response: { output: "22 °C" },
    });
    live.session.sendToolResponse(
      Object.assign(new LiveSendToolResponseParameters(), { functionResponses: [response] }),
    );
    await live.until(turnIsComplete);
    assert.equal(live.text(), 'The tool answered: {"output":"22 °C"}');
    live.session.close();
    await live.closed;
  });

  test("passes on the upstream's own refusal of a key", async () => {
    world.lookAlike.setKeys("gemini", []);
    try {
      const error = await rejection(connect());
      assert.match(String(error), /code 1007.*API key not valid/);
    } finally {
      world.lookAlike.setKeys("gemini", [world.keys.gemini]);
    }
  });

  test("sees a broken connection as broken", async () => {
    const cut = await connect();
    cut.session.sendClientContent({ turns: "break", turnComplete: true });
    assert.equal(await cut.closed, 1006);
  });

  test("is refused without a key or a live token, with nothing upstream", async () => {
    await world.assertNothingUpstream(async () => {
      assert.match(String(await rejection(connect(world.keylessToken))), /403/);
      assert.match(String(await rejection(connect(`x3sproxy_${"A".repeat(32)}`))), /401/);
    });
  });

  test("leaves no token upstream and no key in the log", () => world.assertNothingLeaked());
});
