// The ai package with its OpenAI and Anthropic providers through the proxy.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, isStepCount, jsonSchema, streamText, tool } from "ai";
import {
  rejection,
  startLookAlikeBehindProxy,
  type LookAlikeBehindProxy,
} from "../support/look-alike-behind-proxy.ts";

let world: LookAlikeBehindProxy;
before(async () => (world = await startLookAlikeBehindProxy()));
after(() => world.close());

const weather = tool({
  description: "The weather in a city.",
  inputSchema: jsonSchema<{ city: string }>({
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  }),
  execute: ({ city }) => `22 °C in ${city}`,
});

/** The models as an agent makes them: only the base URL and the key differ from what it would have without us. */
const MODELS = {
  openai: (apiKey: string) =>
    createOpenAI({ baseURL: `${world.baseUrl("openai")}/v1`, apiKey })("look-alike"),
  anthropic: (apiKey: string) =>
    createAnthropic({ baseURL: `${world.baseUrl("anthropic")}/v1`, apiKey })("look-alike"),
} as const;
const FACTS = {
  openai: { title: "OpenAI", mask: "…2222", path: "/v1/responses" },
  anthropic: { title: "Anthropic", mask: "…1111", path: "/v1/messages" },
} as const;

for (const provider of ["openai", "anthropic"] as const) {
  const { title, mask, path } = FACTS[provider];
  const ask = (prompt: string, token = world.token) => ({
    model: MODELS[provider](token),
    prompt,
    maxOutputTokens: 100,
    maxRetries: 0,
  });
  const failure = async (prompt: string, token?: string) => {
    const error = await rejection(generateText(ask(prompt, token)));
    assert.ok(APICallError.isInstance(error), String(error));
    return error;
  };

  describe(`the AI SDK with ${title}`, () => {
    test("gets an answer, with the real key upstream", async () => {
      const { text } = await generateText(ask("hello"));
      assert.ok(text.includes(mask), text);
      assert.equal(world.lastRequest().url, path);
      assert.equal(world.lastRequest().key?.provider, provider);
    });

    test("gets a stream as it is made: the first piece comes while the rest is not yet sent", async () => {
      let text = "";
      for await (const piece of streamText(ask("slow:10x60")).textStream) {
        if (text === "") {
          const { ended } = world.lastRequest();
          assert.equal(await Promise.race([ended, Promise.resolve("under way")]), "under way");
        }
        text += piece;
      }
      assert.equal(text, "1 2 3 4 5 6 7 8 9 10 ");
    });

    test("calls a tool and brings its result", async () => {
      const { text, steps } = await generateText({
        ...ask("use the tool"),
        tools: { weather },
        stopWhen: isStepCount(3),
      });
      assert.equal(steps.length, 2);
      assert.equal(text, "The tool answered: 22 °C in Paris");
    });

    test("gets the upstream's own errors as its typed ones", async () => {
      const limited = await failure("status:429");
      assert.deepEqual([limited.statusCode, limited.isRetryable], [429, true]);
      assert.equal(limited.responseHeaders?.["retry-after"], "1");
      assert.match(limited.message, /rate limit/i);
      assert.equal((await failure("status:401")).statusCode, 401);
      const overloaded = await failure("status:529");
      assert.equal(overloaded.statusCode, 529);
      assert.match(overloaded.message, /look-alike is overloaded/);
    });

    test("that aborts in the middle of the answer ends the call upstream", async () => {
      const controller = new AbortController();
      const { textStream } = streamText({ ...ask("slow"), abortSignal: controller.signal });
      await textStream[Symbol.asyncIterator]().next();
      controller.abort();
      await world.assertAbandoned();
    });

    test("gets our refusals as its typed errors", async () => {
      await world.assertNothingUpstream(async () => {
        const forbidden = await failure("hello", world.keylessToken);
        assert.deepEqual([forbidden.statusCode, forbidden.isRetryable], [403, false]);
        assert.ok(forbidden.message.includes(title), forbidden.message);
        const tab = `${world.service.adminUrl}/secrets?provider=${provider}&environment=empty`;
        assert.ok(forbidden.message.includes(tab), forbidden.message);
        assert.equal(forbidden.responseHeaders?.["x3sproxy-refusal"], "no_secret");
      });
    });
  });
}

test("the AI SDK leaves no token upstream and no key in the log", () =>
  world.assertNothingLeaked());
