// A list of models is compared with the request as it was rewritten: nothing that the proxy takes away may speak for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openTarget } from "../support/attack.ts";
import { inputs } from "../support/generated.ts";

const BODY = '{"model":"gpt-5","input":"hi"}';
const PATH = "/openai/v1/responses";

async function open(t: Parameters<typeof openTarget>[0]) {
  const target = await openTarget(t, { providers: ["openai", "deepgram"] });
  const token = await target.plane.deploy("listed", { models: ["gpt-5"] });
  const post = (path: string, fields: readonly string[], body: string) =>
    target.ask(
      [
        `POST ${path} HTTP/1.1`,
        `Authorization: Bearer ${token}`,
        `Content-Length: ${body.length}`,
        ...fields,
      ],
      body,
    );
  return { ...target, post };
}

test("a POST that asks for an upgrade is judged as the POST that it is", async (t) => {
  const { post, sent } = await open(t);
  const upgrade = ["Content-Type: application/json", "Upgrade: websocket"];
  for (const connection of [
    "Connection: Upgrade, close",
    "Connection: close\r\nConnection: upgrade",
  ]) {
    // The query names an allowed model, as a WebSocket's would; the body another.
    const refused = await post(
      `${PATH}?model=gpt-5`,
      [...upgrade, connection, "Sec-WebSocket-Version: 13"],
      '{"model":"gpt-4"}',
    );
    assert.match(refused.header("x3sproxy-refusal") ?? "", /^model_/);
    // At a WebSocket's path, where the query alone would be looked at.
    const socket = await post(
      "/openai/v1/realtime?model=gpt-5",
      [...upgrade, connection],
      '{"model":"gpt-4"}',
    );
    assert.match(socket.header("x3sproxy-refusal") ?? "", /^model_/);
    assert.equal(sent(), "", "nothing of either went up");
  }
  const allowed = await post(PATH, [...upgrade, "Connection: close, Upgrade"], BODY);
  assert.equal(allowed.status, 200);
  assert.match(sent(), /^POST \/v1\/responses HTTP\/1\.1\r\n/);
});

test("a field that Connection takes away tells nothing of the body", async (t) => {
  const { post, sent } = await open(t);
  const type = "Content-Type: application/json";
  assert.equal((await post(PATH, [type], BODY)).status, 200);
  sent();
  for (const listed of ["content-type", "Content_Type", "x, content-type ,y", "CONTENT-TYPE"]) {
    const answer = await post(PATH, [type, `Connection: close, ${listed}`], BODY);
    assert.equal(answer.header("x3sproxy-refusal"), "model_unclear", listed);
    const twoLines = await post(PATH, [type, "Connection: close", `Connection: ${listed}`], BODY);
    assert.equal(
      twoLines.header("x3sproxy-refusal"),
      "model_unclear",
      `a line of its own: ${listed}`,
    );
  }
  assert.equal(sent(), "");
});

test("whatever Connection names: a request that passes went up with the fields that it was judged by", async (t) => {
  const { post, sent } = await open(t);
  const names = ["content-type", "content-encoding", "accept", "x-a", "close", "keep-alive", "te"];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }), {
        maxLength: 3,
      }),
      fc.boolean(),
      async (lines, encoded) => {
        const connection = lines.map((options) => `Connection: ${options.join(", ")}`);
        const fields = ["Content-Type: application/json", ...connection, "Connection: close"];
        if (encoded) fields.push("Content-Encoding: identity");
        const { status } = await post(PATH, fields, BODY);
        if (status !== 200) {
          assert.equal(sent(), "");
          return;
        }
        assert.match(sent(), /\r\ncontent-type: application\/json\r\n/i);
      },
    ),
    inputs(20261130, 150),
  );
});
