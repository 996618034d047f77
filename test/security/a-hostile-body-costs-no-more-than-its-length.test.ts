// The readers of bodies: time that grows with the length alone, and a depth that ends. Measured as the CPU time for a large body against
// that for a quarter of it, so that the machine's speed and load don't matter.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FormReader } from "../../src/proxy/form-reader.ts";
import { JsonReader } from "../../src/proxy/json-reader.ts";
import { MessageReader } from "../../src/proxy/message-reader.ts";
import type { BodyReader } from "../../src/proxy/model-judge.ts";
import { placeOf, soughtAt } from "../support/sought.ts";

const MIB = 1024 * 1024;
const PIECE = 16 * 1024;

const allows = (model: string): boolean => model === "good";
const custom = soughtAt(placeOf("in-house", "/v1/chat/completions"), allows);

const json = (unit: string, bytes: number): string => unit.repeat(Math.ceil(bytes / unit.length));

/** By what they hold: a body of about so many bytes. */
const BODIES: Record<string, (bytes: number) => string> = {
  "members of the root": (bytes) => `{"model":"good"${json(',"m__o_d_e_l_s_1":1', bytes)}}`,
  "the same member": (bytes) => `{"model":"good"${json(',"tools":[{"type":"x"}]', bytes)}}`,
  "names beyond ASCII": (bytes) => `{"model":"good"${json(',"ｔool":1', bytes)}}`,
  "escaped names": (bytes) => `{"model":"good"${json(',"t\\u006fo":1', bytes)}}`,
  "long names": (bytes) => `{"model":"good"${json(`,"${"n".repeat(300)}":1`, bytes)}}`,
  "one name": (bytes) => `{"model":"good","${"_".repeat(bytes)}":1}`,
  "one string": (bytes) => `{"model":"good","a":"${"\\n".repeat(bytes / 2)}"}`,
  tools: (bytes) => `{"model":"good","tools":[{}${json(',{"model":"good","a":{"b":1}}', bytes)}]}`,
  "lists in lists": (bytes) =>
    `{"model":"good","tools":[[]${json(`,${"[".repeat(400)}${"]".repeat(400)}`, bytes)}]}`,
};

function read(reader: BodyReader, body: Buffer): string | undefined {
  for (let at = 0; at < body.length; at += PIECE) {
    const refusal = reader.take(body.subarray(at, at + PIECE));
    if (refusal !== undefined) return refusal;
  }
  return reader.end();
}

/** CPU time of the fastest of a few readings, in µs. */
function cost(newReader: () => BodyReader, body: Buffer): number {
  const times = Array.from({ length: 3 }, () => {
    const before = process.cpuUsage();
    assert.equal(read(newReader(), body), undefined);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  });
  return Math.min(...times);
}

for (const [what, bodyOf] of Object.entries(BODIES)) {
  test(`2 MB of JSON: ${what}`, () => {
    const newReader = (): JsonReader => new JsonReader(custom);
    const quarter = cost(newReader, Buffer.from(bodyOf(MIB / 2)));
    const whole = cost(newReader, Buffer.from(bodyOf(2 * MIB)));
    assert.ok(whole < 10 * quarter + 20_000, `${whole} µs after ${quarter} µs`);
  });
}

test("10 MB that go deeper and deeper are refused at once", () => {
  const body = Buffer.from(`{"tools":${"[".repeat(10 * MIB)}`);
  const reader = new JsonReader(custom);
  assert.equal(reader.take(body.subarray(0, PIECE)), "model_unclear");
});

test("2 MB of a form with parts without number", () => {
  const bodyOf = (bytes: number): Buffer => {
    const part = '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n';
    return Buffer.from(
      `--B\r\nContent-Disposition: form-data; name=model\r\n\r\ngood\r\n${json(part, bytes)}--B--`,
    );
  };
  const sought = soughtAt(placeOf("openai", "/v1/audio/transcriptions"), allows);
  const newReader = (): FormReader => new FormReader(sought, "B");
  const quarter = cost(newReader, bodyOf(MIB / 2));
  const whole = cost(newReader, bodyOf(2 * MIB));
  assert.ok(whole < 10 * quarter + 20_000, `${whole} µs after ${quarter} µs`);
});

test("2 MB of messages over a WebSocket", () => {
  const message = Buffer.from('{"session":{"model":"good"}}');
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | message.length, 0, 0, 0, 0]), message]);
  const bodyOf = (bytes: number): Buffer =>
    Buffer.concat(Array.from({ length: Math.ceil(bytes / frame.length) }, () => frame));
  const sought = soughtAt(placeOf("openai", "/v1/realtime", "WEBSOCKET"), allows);
  const newReader = (): MessageReader => new MessageReader(sought);
  const quarter = cost(newReader, bodyOf(MIB / 2));
  const whole = cost(newReader, bodyOf(2 * MIB));
  assert.ok(whole < 10 * quarter + 20_000, `${whole} µs after ${quarter} µs`);
});
