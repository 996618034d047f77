// The search for leaked keys finds one that was planted, in each form, wherever in a larger text it stands.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { findLeaks } from "./leaks.ts";

const KEY = { name: "the key", text: 'sk-FAKE/planted+key=with"odd&chars\\1234' };
const OTHER = { name: "another key", text: "sk-FAKE-another-key-that-is-nowhere" };

const WRITERS: Readonly<Record<string, (text: string) => string | Buffer>> = {
  plain: (text) => text,
  hex: (text) => Buffer.from(text).toString("hex"),
  "hex in capitals": (text) => Buffer.from(text).toString("hex").toUpperCase(),
  "psql's bytea": (text) => `\\x${Buffer.from(text).toString("hex")}`,
  "a printed Buffer": (text) => inspect(Buffer.from(text), { maxArrayLength: null }),
  "a printed Uint8Array": (text) => inspect(new Uint8Array(Buffer.from(text)).toString()),
  "a Buffer as JSON": (text) => JSON.stringify(Buffer.from(text)),
  "a JSON string": (text) => JSON.stringify({ value: text }),
  "a JSON string of another library": (text) => JSON.stringify(text).replaceAll("/", "\\/"),
  "a URL": (text) => `https://example.com/?key=${encodeURIComponent(text)}&a=b`,
  "the coreutils' base64": (text) => execFileSync("base64", ["-w0"], { input: text }),
  "UTF-16": (text) => Buffer.from(text, "utf16le"),
  ...Object.fromEntries(
    [0, 1, 2, 3, 4, 5].flatMap((before) =>
      (["base64", "base64url", "hex"] as const).map((encoding) => [
        `${encoding}, ${before} bytes in, and more behind`,
        (text: string) => Buffer.from(`${"x".repeat(before)}${text} and more`).toString(encoding),
      ]),
    ),
  ),
};

for (const [form, write] of Object.entries(WRITERS)) {
  test(`finds a key as ${form}`, () => {
    const bytes = Buffer.concat([
      Buffer.from([0, 255, 10]),
      Buffer.from(write(KEY.text)),
      Buffer.from("more"),
    ]);
    const artefact = { place: "a file", bytes };
    const leaks = findLeaks([artefact], [KEY, OTHER]);
    assert.ok(leaks.length > 0);
    assert.ok(leaks.every((leak) => leak.startsWith("a file holds the key (")));
    assert.ok(!leaks.join().includes(KEY.text));
    assert.deepEqual(findLeaks([{ ...artefact, mayHold: ["the key"] }], [KEY, OTHER]), []);
  });
}

test("finds nothing where nothing is", () => {
  const innocent = Buffer.from(`sk-…1234 ${KEY.text.slice(0, 12)} ${KEY.text.toUpperCase()}`);
  assert.deepEqual(findLeaks([{ place: "a file", bytes: innocent }], [KEY]), []);
  // What is compressed has to be opened first: that is for whoever collects the artefacts.
  const compressed = gzipSync(KEY.text.repeat(3));
  assert.deepEqual(findLeaks([{ place: "a file", bytes: compressed }], [KEY]), []);
});
