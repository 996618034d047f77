import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import test from "node:test";
import { readKeptCheckpoints, type KeptCheckpoints } from "../../src/audit/kept-checkpoints.ts";
import { openCheckpoint, originOfLog, signCheckpoint, verifierKey } from "../../src/audit/note.ts";

const origin = originOfLog("00000000-0000-4000-8000-000000000001");
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const signer = {
  publicKey: publicKey.export({ format: "der", type: "spki" }).subarray(-32),
  sign: (message: Uint8Array) => sign(null, message, privateKey),
};
const noteOf = (size: number): string =>
  signCheckpoint({ origin, size, root: randomBytes(32) }, signer);

async function read(text: string): Promise<KeptCheckpoints> {
  async function* lines() {
    yield* await Promise.resolve(text.split("\n"));
  }
  return readKeptCheckpoints(lines(), "kept");
}

/** The sizes of those whose signature holds; all that are found have to. */
function sizesOf({ checkpoints }: KeptCheckpoints): number[] {
  return checkpoints.map(
    ({ note }) => openCheckpoint(note, verifierKey(origin, signer.publicKey)).size,
  );
}

test("one that a full disk cut off at any place doesn't take the next one with it", async () => {
  const broken = noteOf(5);
  for (let length = 1; length < broken.length; length += 1) {
    const text = `${noteOf(3)}\n${broken.slice(0, length)}\n${noteOf(7)}`;
    const isWhole = length === broken.length - 1; // but for its line feed
    const found = await read(text);
    assert.deepEqual(sizesOf(found), isWhole ? [3, 5, 7] : [3, 7], `${length} characters`);
    assert.equal(found.otherLines > 0, !isWhole);
    // The same at the file's end.
    assert.deepEqual(sizesOf(await read(broken.slice(0, length))), isWhole ? [5] : []);
  }
});

test("a line of a syslog that only looks like one is passed over and counted", async () => {
  const good = JSON.stringify({ note: noteOf(4) });
  for (const bad of ['x {"note":"\\q"}', 'x {"note":"a\tb"}', 'x {"note":"\\u12"}']) {
    const found = await read(`${bad}\n<110>1 x ${good}\n`);
    assert.deepEqual(sizesOf(found), [4], bad);
    assert.equal(found.otherLines, 1, bad);
  }
});

test("neither does the verifier key that somebody kept in the same file, nor a text that only begins as one does", async () => {
  const inJson = `<110>1 x ${JSON.stringify({ note: noteOf(4) })}`;
  for (const begun of [verifierKey(origin, signer.publicKey), origin, `${origin}\n7`]) {
    assert.deepEqual(sizesOf(await read(`${begun}\n${noteOf(3)}`)), [3], begun);
    assert.deepEqual(sizesOf(await read(`${begun}\n${inJson}\n`)), [4], begun);
    const found = await read(`${begun}\n${"a line of a log\n".repeat(1000)}`);
    assert.ok(found.otherLines >= 1000, "nothing is gathered without an end");
    assert.deepEqual(found.checkpoints, []);
  }
});
