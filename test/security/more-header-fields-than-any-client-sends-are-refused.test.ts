import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import fc from "fast-check";
import { fieldName } from "../../src/proxy/field-names.ts";
import { openTarget, type Target } from "../support/attack.ts";
import { openWireClient, head, webSocketHead } from "../support/wire.ts";
import { inputs } from "../support/generated.ts";

const SEED = 20261130;
const MAX_FIELDS = 200;
const TARGET = "/openai/v1/models";
// Beside the token, those that `head` writes.
const OWN_FIELDS = 2;
/** Spellings of which each is remembered by itself, and none is of a list of ours. */
const names = fc.stringMatching(/^[Xx]-[a-z0-9]{1,6}$/);

function fields(count: number, nameOf: (n: number) => string): string[] {
  return Array.from({ length: count }, (_, n) => `${nameOf(n)}: ${n}`);
}

async function answerTo({ plane, token }: Target, more: readonly string[]) {
  const client = await openWireClient(plane.port);
  client.send(head(token, TARGET, { headers: more }));
  const answer = await client.answer();
  client.socket.destroy();
  return answer;
}

const open = (t: TestContext): Promise<Target> => openTarget(t);

describe("more header fields than any client sends are refused", () => {
  test("as many as may be all go up, whatever their names", async (t) => {
    const target = await open(t);
    await fc.assert(
      fc.asyncProperty(names, fc.boolean(), async (name, areAlike) => {
        const count = MAX_FIELDS - OWN_FIELDS;
        target.sent();
        const more = fields(count, (n) => (areAlike ? name : `${name}${n}`));
        assert.equal((await answerTo(target, more)).status, 200);
        const lines = target.sent().split("\r\n");
        for (const line of more) assert.ok(lines.includes(line), line);
      }),
      inputs(SEED, 10),
    );
  });

  test("one more is 431, and so are thousands; none goes up without those that are too many", async (t) => {
    const target = await open(t);
    const counts = fc.oneof(
      fc.constantFrom(MAX_FIELDS + 1 - OWN_FIELDS, MAX_FIELDS + 2 - OWN_FIELDS),
      fc.integer({ min: MAX_FIELDS + 1 - OWN_FIELDS, max: 4000 }),
    );
    await fc.assert(
      fc.asyncProperty(counts, names, fc.boolean(), async (count, name, areAlike) => {
        const more = fields(count, (n) => (areAlike ? name : `${name}${n}`));
        const answer = await answerTo(target, more);
        assert.equal(answer.status, 431);
        assert.equal(answer.header("x3sproxy-refusal"), "headers_too_large");
        assert.equal(answer.header("connection"), "close");
        assert.match(answer.body, /"headers_too_large"/);
      }),
      inputs(SEED, 40),
    );
    assert.equal(target.sent(), "");
  });

  test("a WebSocket's handshake and a request with a body, too", async (t) => {
    const target = await open(t);
    const { plane, token } = target;
    const more = `${fields(MAX_FIELDS, (n) => `x-${n}`).join("\r\n")}\r\n\r\n`;
    const handshake = webSocketHead(token, "/openai/v1/realtime").replace(/\r\n$/, more);
    const post = head(token, TARGET, { method: "POST", headers: ["content-length: 200000"] });
    const upload = post.replace(/\r\n$/, more) + "x".repeat(200_000);
    for (const bytes of [handshake, upload]) {
      const client = await openWireClient(plane.port);
      client.send(bytes);
      assert.equal((await client.answer()).status, 431);
      assert.equal(await client.ended(), "fin");
    }
    assert.equal(target.sent(), "");
  });

  test("behind another request it is refused in its place", async (t) => {
    const target = await open(t);
    const client = await openWireClient(target.plane.port);
    const tooMany = fields(MAX_FIELDS + 1 - OWN_FIELDS, (n) => `x-${n}`);
    client.send(head(target.token, TARGET) + head(target.token, TARGET, { headers: tooMany }));
    assert.equal((await client.answer()).status, 200);
    assert.equal((await client.answer()).status, 431);
    assert.equal(await client.ended(), "fin");
  });

  test("made-up names do not make others forget what is known of a name of the lists", () => {
    const known = ["authorization", "Content-Length", "X-Api-Key", "connection", "x-request-id"];
    const before = known.map((name) => fieldName(name));
    fc.assert(
      fc.property(names, fc.integer({ min: 1000, max: 3000 }), (name, count) => {
        for (let n = 0; n < count; n++) fieldName(`${name}${n}`);
        for (const [i, name] of known.entries()) assert.equal(fieldName(name), before[i]);
      }),
      inputs(SEED, 20),
    );
  });
});
