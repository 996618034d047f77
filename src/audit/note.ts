// Checkpoints as text: a C2SP tlog-checkpoint in a C2SP signed note (Ed25519), which common tools can read, and the verifier keys for
// them. Must not know where checkpoints are stored.
import { createPublicKey, hash, verify } from "node:crypto";
import { HASH_BYTES } from "./merkle.ts";

/** Signs without showing its private key. */
export interface LogSigner {
  /** Ed25519 (RFC 8032), 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The signature's 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

export interface Checkpoint {
  /** Names the log. */
  readonly origin: string;
  /** The number of leaves. */
  readonly size: number;
  readonly root: Buffer;
}

/** A malformed note, or one whose signature does not verify. The message says which. */
export class NoteError extends Error {
  override name = "NoteError";
}

const ED25519 = 1;
const KEY_BYTES = 32;
// What precedes an Ed25519 public key in SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const MAX_NOTE_CHARACTERS = 10_000;

/** The origin of a workspace's log, which is also the name of its key. */
export function originOfLog(workspaceId: string): string {
  return `x3sproxy/audit/${workspaceId}`;
}

/**
 * The key name for signing a workspace's exports. The key is the log's, but its name differs, so that a note about an export is never
 * accepted as a checkpoint.
 */
export function originOfExports(workspaceId: string): string {
  return `x3sproxy/audit-export/${workspaceId}`;
}

/** The same key as in a verifier key, under another name. Throws NoteError. */
export function renameVerifier(verifier: string, name: string): string {
  return verifierKey(name, parseVerifierKey(verifier).publicKey);
}

/** The signed note of a checkpoint. */
export function signCheckpoint(checkpoint: Checkpoint, signer: LogSigner): string {
  const { origin, size, root } = checkpoint;
  const text = `${origin}\n${size}\n${root.toString("base64")}\n`;
  const signature = Buffer.concat([
    keyIdOf(origin, signer.publicKey),
    signer.sign(Buffer.from(text, "utf8")),
  ]);
  return `${text}\n— ${origin} ${signature.toString("base64")}\n`;
}

/** The verifier key of a log in the form of C2SP signed notes: `<name>+<key id>+<key>`. Not a secret. */
export function verifierKey(origin: string, publicKey: Uint8Array): string {
  const key = Buffer.concat([Buffer.of(ED25519), publicKey]).toString("base64");
  return `${origin}+${keyIdOf(origin, publicKey).toString("hex")}+${key}`;
}

/** Whether `text` has the form of a verifier key. */
export function isVerifierKey(text: string): boolean {
  try {
    return parseVerifierKey(text).name !== "";
  } catch {
    return false;
  }
}

/** The checkpoint in a note, after verifying its signature with `verifier`. Throws NoteError. */
export function openCheckpoint(note: string, verifier: string): Checkpoint {
  const { name, keyId, publicKey } = parseVerifierKey(verifier);
  const { text, signatures } = splitNote(note);
  const own = signatures.filter((each) => each.name === name && each.keyId.equals(keyId));
  if (own.length === 0) throw new NoteError(`the checkpoint isn't signed by this key of ${name}`);
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, publicKey]),
    format: "der",
    type: "spki",
  });
  const message = Buffer.from(text, "utf8");
  if (!own.every(({ signature }) => verify(null, message, key, signature))) {
    throw new NoteError(
      "the checkpoint's signature doesn't hold: it was edited, or another key signed it",
    );
  }
  return parseCheckpoint(text);
}

/** The checkpoint in a note, without verifying the signature. Throws NoteError. */
export function readCheckpoint(note: string): Checkpoint {
  return parseCheckpoint(splitNote(note).text);
}

function splitNote(note: string) {
  if (note.length > MAX_NOTE_CHARACTERS) throw new NoteError("not a signed note: it is too long");
  const at = note.lastIndexOf("\n\n");
  if (at < 0 || !note.endsWith("\n")) throw new NoteError("not a signed note");
  const signatures = note
    .slice(at + 2, -1)
    .split("\n")
    .map((line) => {
      const match = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
      const bytes = strictBase64(match?.[2] ?? "");
      if (match?.[1] === undefined || bytes === undefined || bytes.length < 5) {
        throw new NoteError("not a signed note: a signature's line is malformed");
      }
      return { name: match[1], keyId: bytes.subarray(0, 4), signature: bytes.subarray(4) };
    });
  return { text: note.slice(0, at + 1), signatures };
}

function parseCheckpoint(text: string): Checkpoint {
  const [origin, size, root, ...rest] = text.split("\n");
  const bytes = strictBase64(root ?? "");
  if (
    origin === undefined ||
    origin === "" ||
    !/^(0|[1-9][0-9]{0,15})$/.test(size ?? "") ||
    bytes?.length !== HASH_BYTES ||
    rest.at(-1) !== ""
  ) {
    throw new NoteError("not a checkpoint");
  }
  return { origin, size: Number(size), root: bytes };
}

function parseVerifierKey(verifier: string) {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(verifier.trim());
  const key = strictBase64(match?.[3] ?? "");
  if (match?.[1] === undefined || key?.length !== 1 + KEY_BYTES || key[0] !== ED25519) {
    throw new NoteError("not a verifier key: it has the form name+id+key, of Ed25519");
  }
  const name = match[1];
  const publicKey = key.subarray(1);
  const keyId = keyIdOf(name, publicKey);
  if (keyId.toString("hex") !== match[2]) {
    throw new NoteError("not a verifier key: its id isn't that of its key");
  }
  return { name, keyId, publicKey };
}

/** Decodes base64 (RFC 4648); undefined unless it is the canonical form of its bytes. */
function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

/** C2SP signed-note: the first four bytes of SHA-256(name ‖ newline ‖ algorithm ‖ key). */
function keyIdOf(name: string, publicKey: Uint8Array): Buffer {
  const text = Buffer.concat([Buffer.from(`${name}\n`, "utf8"), Buffer.of(ED25519), publicKey]);
  return hash("sha256", text, "buffer").subarray(0, 4);
}
