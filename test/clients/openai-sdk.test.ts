// The official openai package through the proxy.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import OpenAI from "openai";
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
  new OpenAI({ baseURL: `${world.baseUrl("openai")}/v1`, apiKey, maxRetries: 0 });

const ask = (content: string) => ({
  model: "look-alike",
  messages: [{ role: "user" as const, content }],
});
const parameters = { type: "object", properties: { city: { type: "string" } } };

describe("the openai SDK", () => {
  test("gets an answer, with the real key upstream", async () => {
    const { choices } = await client().chat.completions.create(ask("hello"));
    assert.match(choices[0]?.message.content ?? "", /called with the key sk-proj-…2222/);
    assert.equal(world.lastRequest().key?.provider, "openai");
    assert.equal(world.lastRequest().url, "/v1/chat/completions");
    const { output_text } = await client().responses.create({ model: "m", input: "hello" });
    assert.match(output_text, /…2222/);
    const { data } = await client().embeddings.create({ model: "m", input: "x" });
    assert.equal(data[0]?.embedding.length, 4);
  });

  test("gets a stream as it is made: the first piece comes while the rest is not yet sent", async () => {
    const stream = await client().chat.completions.create({
      ...ask("slow:10x60"),
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage: number | undefined;
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content ?? "";
      if (piece === "1 ") {
        const { ended } = world.lastRequest();
        assert.equal(await Promise.race([ended, Promise.resolve("under way")]), "under way");
      }
      text += piece;
      usage = chunk.usage?.total_tokens ?? usage;
    }
    assert.equal(text, "1 2 3 4 5 6 7 8 9 10 ");
    assert.equal(usage, 21);
    const { output_text } = await client()
      .responses.stream({ model: "m", input: "slow:3x5" })
      .finalResponse();
    assert.equal(output_text, "1 2 3 ");
  });

  test("calls a tool and brings its result", async () => {
    const request = {
      ...ask("use the tool"),
      tools: [{ type: "function" as const, function: { name: "weather", parameters } }],
    };
    const asked = await client().chat.completions.stream(request).finalMessage();
    const call = asked.tool_calls?.[0];
    assert.ok(call?.type === "function");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
    const answered = await client().chat.completions.create({
      ...request,
      messages: [
        ...request.messages,
        asked,
        { role: "tool", tool_call_id: call.id, content: "22 °C" },
      ],
    });
    assert.equal(answered.choices[0]?.message.content, "The tool answered: 22 °C");
  });

  test("gets the upstream's own errors as its typed ones", async () => {
    const failure = (content: string) => rejection(client().chat.completions.create(ask(content)));
    const unauthorized = await failure("status:401");
    assert.ok(unauthorized instanceof OpenAI.AuthenticationError);
    assert.equal(unauthorized.code, "invalid_api_key");
    assert.equal(unauthorized.message, "401 Incorrect API key provided.");
    assert.equal(unauthorized.headers.get("x3sproxy-refusal"), null);
    const limited = await failure("status:429");
    assert.ok(limited instanceof OpenAI.RateLimitError);
    assert.equal(limited.headers.get("retry-after"), "1");
    assert.match(limited.message, /Rate limit reached for the look-alike/);
    const overloaded = await failure("status:529");
    assert.ok(overloaded instanceof OpenAI.InternalServerError);
    assert.equal(overloaded.status, 529);
    assert.match(overloaded.message, /look-alike is overloaded/);
  });

  test("that aborts, before or in the middle of the answer, ends the call upstream", async () => {
    const controller = new AbortController();
    const arrived = world.lookAlike.nextRequest();
    const silent = client().chat.completions.create(ask("hang"), { signal: controller.signal });
    await arrived;
    controller.abort();
    await assert.rejects(silent, OpenAI.APIUserAbortError);
    await world.assertAbandoned();

    const stream = await client().chat.completions.create({ ...ask("slow"), stream: true });
    await stream[Symbol.asyncIterator]().next();
    stream.controller.abort();
    await world.assertAbandoned();
  });

  test("sees a broken stream as broken", async () => {
    const stream = await client().chat.completions.create({ ...ask("break"), stream: true });
    await assert.rejects(Array.fromAsync(stream));
    await assert.rejects(client().chat.completions.create(ask("break")));
  });

  test("gets our refusals as its typed errors", async () => {
    await world.assertNothingUpstream(async () => {
      const forbidden = await rejection(client(world.keylessToken).models.list());
      assert.ok(forbidden instanceof OpenAI.PermissionDeniedError);
      assert.match(forbidden.message, /OpenAI/);
      const tab = `${world.service.adminUrl}/secrets?provider=openai&environment=empty`;
      assert.ok(forbidden.message.includes(tab), forbidden.message);
      assert.equal(forbidden.headers.get("x3sproxy-refusal"), "no_secret");

      const stranger = client(`x3sproxy_${"A".repeat(32)}`);
      await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
      await assert.rejects(
        client("sk-proj-FAKE-own-key").models.list(),
        OpenAI.AuthenticationError,
      );
      await assert.rejects(
        client().realtime.clientSecrets.create({}),
        OpenAI.PermissionDeniedError,
      );
    });
  });

  test("leaves no token upstream and no key in the log", () => world.assertNothingLeaked());
});
