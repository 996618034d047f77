import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FormReader } from "../../src/proxy/form-reader.ts";
import { soughtOf } from "../support/sought.ts";

const LISTED = "whisper-1";
const BOUNDARY = "----formdata-x3-0123";

function newReader(boundary: string): FormReader {
  return new FormReader(
    soughtOf((model) => model === LISTED, ["models"]),
    boundary,
  );
}

function read(pieces: readonly Buffer[], boundary: string): string {
  const reader = newReader(boundary);
  for (const piece of pieces) {
    const refusal = reader.take(piece);
    if (refusal !== undefined) return refusal;
  }
  return reader.end() ?? "allowed";
}

function readInAllWays(bytes: Buffer, boundary = BOUNDARY): string {
  const verdict = read([bytes], boundary);
  for (let at = 0; at <= bytes.length; at++) {
    const split = read([bytes.subarray(0, at), bytes.subarray(at)], boundary);
    assert.equal(split, verdict, `split at ${at}`);
  }
  assert.equal(
    read(
      [...bytes].map((byte) => Buffer.of(byte)),
      boundary,
    ),
    verdict,
    "byte by byte",
  );
  return verdict;
}

const name = fc.constantFrom("model", "file", "prompt", "language", "include[]", "temperature");
const content = fc.oneof(
  fc.constantFrom(LISTED, LISTED, "whisper-2", "", "--", `\r\n--${BOUNDARY.slice(0, 9)}`, "\r\n"),
  fc.uint8Array({ maxLength: 30 }),
);
const part = fc.oneof(
  fc.record({ name, content, isFile: fc.nat(3).map((n) => n === 0) }),
  fc.constant({ name: "model", content: LISTED, isFile: false }),
);

test("a form is allowed if and only if it has one field for the model, and that is on the list", async () => {
  let allowed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 4 }), async (parts) => {
      const form = new FormData();
      for (const { name: field, content: it, isFile } of parts) {
        const blob = new Blob([it]);
        if (isFile || typeof it !== "string") form.append(field, blob, "a file.mp3");
        else form.append(field, it);
      }
      const made = new Response(form);
      const type = made.headers.get("content-type") ?? "";
      const boundary = /boundary=(.*)$/.exec(type)?.[1] ?? "";
      const bytes = Buffer.from(await made.arrayBuffer());
      const [only, ...more] = form.getAll("model");
      const verdict = readInAllWays(bytes, boundary);
      assert.equal(verdict === "allowed", more.length === 0 && only === LISTED);
      if (verdict === "allowed") allowed++;
    }),
    { numRuns: 300 },
  );
  assert.ok(allowed > 20, `only ${allowed} were allowed: the property says little`);
});

test("what is allowed has that model for another parser, whatever bytes are changed", async () => {
  const whole = Buffer.from(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n` +
      `Content-Type: audio/mpeg\r\n\r\nabc\r\n--${BOUNDARY}\r\n` +
      `Content-Disposition: form-data; name="model"\r\n\r\n${LISTED}\r\n--${BOUNDARY}--\r\n`,
  );
  assert.equal(readInAllWays(whole), "allowed");
  const change = fc.record({
    at: fc.nat(whole.length),
    cut: fc.nat(2),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 2 }),
      fc
        .constantFrom("\r\n", "\n", '"', ";", "--", `\r\n--${BOUNDARY}`, "x", "\\")
        .map((it) => Buffer.from(it)),
    ),
  });
  let allowed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 2 }), async (changes) => {
      let bytes: Buffer = whole;
      for (const { at, cut, bytes: put } of changes) {
        bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]);
      }
      if (readInAllWays(bytes) !== "allowed") return;
      allowed++;
      const form = new Response(bytes as Uint8Array<ArrayBuffer>, {
        headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}` },
      });
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- another parser than ours, for small bodies of our own
      const other = await form.formData();
      assert.deepEqual(other.getAll("model"), [LISTED], JSON.stringify(bytes.toString("latin1")));
    }),
    { numRuns: 1000 },
  );
  assert.ok(allowed > 20, `only ${allowed} were allowed: the property says little`);
});
