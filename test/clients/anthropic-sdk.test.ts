// The official @anthropic-ai/sdk package through the proxy.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import {
  rejection,
  startLookAlikeBehindProxy,
  type LookAlikeBehindProxy,
} from "../support/look-alike-behind-proxy.ts";

let world: LookAlikeBehindProxy;
before(async () => (world = await startLookAlikeBehindProxy()));
after(() => world.close());

/** Only the base URL and the key differ from what an agent would have without us. */
const client = (apiKey = world.token) =>
  new Anthropic({ baseURL: world.baseUrl("anthropic"), apiKey, maxRetries: 0 });

const ask = (content: string) => ({
  model: "look-alike",
  max_tokens: 100,
  messages: [{ role: "user" as const, content }],
});
const textOf = ({ content }: Anthropic.Message) =>
  content[0]?.type === "text" ? content[0].text : "";

describe("the Anthropic SDK", () => {
  test("gets an answer, with the real key upstream in the provider's own header", async () => {
    const message = await client().messages.create(ask("hello"));
    assert.match(textOf(message), /called with the key sk-ant-…1111/);
    const { rawHeaders, key } = world.lastRequest();
    assert.equal(rawHeaders[rawHeaders.indexOf("x-api-key") + 1], key?.value);
    assert.ok(!rawHeaders.some((name) => name.toLowerCase() === "authorization"));
    const { input_tokens } = await client().messages.countTokens({
      model: "look-alike",
      messages: ask("hello").messages,
    });
    assert.equal(input_tokens, 14);
  });

  test("with an auth token instead of an API key works the same", async () => {
    const bearer = new Anthropic({
      baseURL: world.baseUrl("anthropic"),
      apiKey: null,
      authToken: world.token,
    });
    assert.match(textOf(await bearer.messages.create(ask("hello"))), /…1111/);
  });

  test("gets a stream as it is made: the first piece comes while the rest is not yet sent", async () => {
    const stream = client().messages.stream(ask("slow:10x60"));
    let state: unknown;
    stream.once("text", () => {
      const { ended } = world.lastRequest();
      state = Promise.race([ended, Promise.resolve("under way")]);
    });
    assert.equal(await stream.finalText(), "1 2 3 4 5 6 7 8 9 10 ");
    assert.equal(await state, "under way");
  });

  test("calls a tool and brings its result", async () => {
    const request = {
      ...ask("use the tool"),
      tools: [{ name: "weather", input_schema: { type: "object" as const } }],
    };
    const asked = await client().messages.stream(request).finalMessage();
    const call = asked.content[0];
    assert.ok(call?.type === "tool_use");
    assert.deepEqual(call.input, { city: "Paris" });
    const answered = await client().messages.create({
      ...request,
      messages: [
        ...request.messages,
        { role: "assistant", content: asked.content },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: call.id, content: "22 °C" }],
        },
      ],
    });
    assert.equal(textOf(answered), "The tool answered: 22 °C");
  });

  test("gets the upstream's own errors as its typed ones", async () => {
    const failure = (content: string) => rejection(client().messages.create(ask(content)));
    const unauthorized = await failure("status:401");
    assert.ok(unauthorized instanceof Anthropic.AuthenticationError);
    assert.match(unauthorized.message, /invalid x-api-key/);
    assert.equal(unauthorized.headers.get("x3sproxy-refusal"), null);
    const limited = await failure("status:429");
    assert.ok(limited instanceof Anthropic.RateLimitError);
    assert.equal(limited.headers.get("retry-after"), "1");
    assert.match(limited.message, /exceed the look-alike's rate limit/);
    const overloaded = await failure("status:529");
    assert.ok(overloaded instanceof Anthropic.InternalServerError);
    assert.deepEqual([overloaded.status, overloaded.type], [529, "overloaded_error"]);
    assert.match(overloaded.message, /look-alike is overloaded/);
  });

  test("that aborts in the middle of the answer ends the call upstream", async () => {
    const stream = client().messages.stream(ask("slow"));
    await new Promise((resolve) => stream.once("text", resolve));
    stream.abort();
    await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
    await world.assertAbandoned();
  });

  test("sees a broken stream as broken", async () => {
    await assert.rejects(client().messages.stream(ask("break")).finalMessage());
  });

  test("gets our refusals as its typed errors", async () => {
    await world.assertNothingUpstream(async () => {
      const forbidden = await rejection(client(world.keylessToken).messages.create(ask("hello")));
      assert.ok(forbidden instanceof Anthropic.PermissionDeniedError);
      assert.equal(forbidden.type, "permission_error");
      assert.match(forbidden.message, /Anthropic/);
      const tab = `${world.service.adminUrl}/secrets?provider=anthropic&environment=empty`;
      assert.ok(forbidden.message.includes(tab), forbidden.message);
      assert.equal(forbidden.headers.get("x3sproxy-refusal"), "no_secret");

      const stranger = client(`x3sproxy_${"A".repeat(32)}`);
      await assert.rejects(stranger.messages.create(ask("hello")), Anthropic.AuthenticationError);
    });
  });

  test("leaves no token upstream and no key in the log", () => world.assertNothingLeaked());
});
