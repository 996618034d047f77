import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import test from "node:test";
import {
  NoteError,
  openCheckpoint,
  originOfLog,
  readCheckpoint,
  signCheckpoint,
  verifierKey,
  type LogSigner,
} from "../../src/audit/note.ts";

function newSigner(): LogSigner {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: publicKey.export({ format: "der", type: "spki" }).subarray(-32),
    sign: (message) => sign(null, message, privateKey),
  };
}

const origin = originOfLog("00000000-0000-4000-8000-000000000001");
const signer = newSigner();
const checkpoint = { origin, size: 42, root: randomBytes(32) };
const note = signCheckpoint(checkpoint, signer);
const verifier = verifierKey(origin, signer.publicKey);

test("a checkpoint has the form of C2SP's tlog-checkpoint and opens with its key", () => {
  const lines = note.split("\n");
  assert.deepEqual(lines.slice(0, 4), [origin, "42", checkpoint.root.toString("base64"), ""]);
  assert.match(lines[4] ?? "", /^— x3sproxy\/audit\/[0-9a-f-]{36} [A-Za-z0-9+/]{90,92}={0,2}$/);
  assert.equal(lines.length, 6);
  assert.deepEqual(openCheckpoint(note, verifier), checkpoint);
  assert.deepEqual(readCheckpoint(note), checkpoint);
});

test("the example of C2SP's signed-note opens up to its text", () => {
  // The note and key of golang.org/x/mod/sumdb/note's documentation.
  const example =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
  const key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  // Its signature holds, so that what is refused is that it's no checkpoint.
  assert.throws(() => openCheckpoint(example, key), /^NoteError: not a checkpoint$/);
  assert.throws(() => openCheckpoint(example.replace("x08go/ZJ", "x08go/ZK"), key), NoteError);
});

test("no byte of a note can be another", () => {
  const bytes = Buffer.from(note, "utf8");
  for (let i = 0; i < bytes.length; i += 1) {
    for (const mask of [1, 0x20, 0x80]) {
      const edited = Buffer.from(bytes);
      edited[i] = (edited[i] ?? 0) ^ mask;
      assert.throws(
        () => openCheckpoint(edited.toString("utf8"), verifier),
        NoteError,
        `byte ${i}`,
      );
    }
    assert.throws(() => openCheckpoint(bytes.subarray(0, i).toString("utf8"), verifier), NoteError);
  }
});

test("another key's note, and another log's, are refused", () => {
  const other = newSigner();
  assert.throws(() => openCheckpoint(signCheckpoint(checkpoint, other), verifier), NoteError);
  const elsewhere = originOfLog("00000000-0000-4000-8000-000000000002");
  assert.throws(
    () => openCheckpoint(note, verifierKey(elsewhere, signer.publicKey)),
    /isn't signed by this key of/,
  );
});

test("a malformed verifier key is refused with its form", () => {
  for (const bad of ["", "x", verifier.replace("+", "-"), `${verifier}=`, verifier.slice(0, -4)]) {
    assert.throws(() => openCheckpoint(note, bad), /^NoteError: not a verifier key/);
  }
});
