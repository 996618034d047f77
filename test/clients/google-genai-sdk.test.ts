// The official @google/genai package through the proxy.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  ApiError,
  createPartFromFunctionResponse,
  createUserContent,
  GoogleGenAI,
} from "@google/genai";
import {
  rejection,
  startLookAlikeBehindProxy,
  type LookAlikeBehindProxy,
} from "../support/look-alike-behind-proxy.ts";

let world: LookAlikeBehindProxy;
before(async () => (world = await startLookAlikeBehindProxy()));
after(() => world.close());

/** Only the base URL and the key differ from what an agent would have without us. */
const models = (apiKey = world.token) =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: world.baseUrl("gemini") } }).models;

const ask = (contents: string) => ({ model: "look-alike", contents });
const failure = async (contents: string, token = world.token) => {
  const error = await rejection(models(token).generateContent(ask(contents)));
  assert.ok(error instanceof ApiError);
  return error;
};

describe("the Google Gen AI SDK", () => {
  test("gets an answer, with the real key upstream", async () => {
    const { text } = await models().generateContent(ask("hello"));
    assert.match(text ?? "", /called with the key …3333/);
    assert.equal(world.lastRequest().key?.provider, "gemini");
  });

  test("gets a stream as it is made: the first piece comes while the rest is not yet sent", async () => {
    let text = "";
    for await (const chunk of await models().generateContentStream(ask("slow:10x60"))) {
      if (text === "") {
        const { ended } = world.lastRequest();
        assert.equal(await Promise.race([ended, Promise.resolve("under way")]), "under way");
      }
      text += chunk.text ?? "";
    }
    assert.equal(text, "1 2 3 4 5 6 7 8 9 10 ");
  });

  test("calls a function and brings its result", async () => {
    const config = { tools: [{ functionDeclarations: [{ name: "weather" }] }] };
    const asked = await models().generateContent({ ...ask("use the tool"), config });
    assert.deepEqual(asked.functionCalls, [{ name: "weather", args: { city: "Paris" } }]);
    const answered = await models().generateContent({
      model: "look-alike",
      config,
      contents: [
        { role: "user", parts: [{ text: "use the tool" }] },
        asked.candidates?.[0]?.content ?? {},
        createUserContent(createPartFromFunctionResponse("", "weather", { output: "22 °C" })),
      ],
    });
    assert.equal(answered.text, 'The tool answered: {"output":"22 °C"}');
  });

  test("gets the upstream's own errors as its typed ones", async () => {
    const unauthorized = await failure("status:401");
    assert.equal(unauthorized.status, 401);
    assert.match(unauthorized.message, /The look-alike answers 401.*UNAUTHENTICATED/);
    const limited = await failure("status:429");
    assert.equal(limited.status, 429);
    assert.match(limited.message, /RESOURCE_EXHAUSTED/);
    const overloaded = await failure("status:503");
    assert.equal(overloaded.status, 503);
    assert.match(overloaded.message, /UNAVAILABLE/);
  });

  test("that aborts in the middle of the answer ends the call upstream", async () => {
    const controller = new AbortController();
    const stream = await models().generateContentStream({
      ...ask("slow"),
      config: { abortSignal: controller.signal },
    });
    await stream.next();
    controller.abort();
    await assert.rejects(Array.fromAsync(stream));
    await world.assertAbandoned();
  });

  test("sees a broken stream as broken", async () => {
    await assert.rejects(async () =>
      Array.fromAsync(await models().generateContentStream(ask("break"))),
    );
  });

  test("gets our refusals as its typed errors", async () => {
    await world.assertNothingUpstream(async () => {
      const forbidden = await failure("hello", world.keylessToken);
      assert.equal(forbidden.status, 403);
      assert.match(forbidden.message, /Gemini.*PERMISSION_DENIED/);
      const tab = `${world.service.adminUrl}/secrets?provider=gemini&environment=empty`;
      assert.ok(forbidden.message.includes(tab), forbidden.message);
      assert.equal((await failure("hello", `x3sproxy_${"A".repeat(32)}`)).status, 401);
    });
  });

  test("leaves no token upstream and no key in the log", () => world.assertNothingLeaked());
});
