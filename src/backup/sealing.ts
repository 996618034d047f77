// A backup's sealing: the age format (age-encryption.org/v1), so that `age -d` opens it, too. Streams both ways in constant memory.
import {
  Decrypter,
  Encrypter,
  generateX25519Identity,
  identityToRecipient,
  type Identity,
} from "age-encryption";
import { passphraseRecipient } from "./passphrase.ts";

/** Who can open it: holders of an age identity, or whoever knows the passphrase. */
export type SealedTo = { readonly recipients: readonly string[] } | { readonly passphrase: string };

/** By what it is opened. */
export interface OpenedBy {
  /** Secret keys of age, or a `passphraseIdentity`. */
  readonly identities: readonly (string | Identity)[];
}

/** It doesn't open: the wrong key, or bytes that were changed or are missing. The message says which, as far as that can be told. */
export class SealedError extends Error {
  override name = "SealedError";
}

const FIRST_LINE = "age-encryption.org/v1\n";

/** Whether `text` is a public key of age that this can seal to. */
export function isRecipient(text: string): boolean {
  try {
    new Encrypter().addRecipient(text);
    return /^age1(pq1)?[a-z0-9]+$/.test(text);
  } catch {
    return false;
  }
}

/** Whether `text` is a secret key of age. */
export function isIdentity(text: string): boolean {
  try {
    new Decrypter().addIdentity(text);
    return true;
  } catch {
    return false;
  }
}

/** A pair of keys for one transport. */
export async function newIdentity(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** Seals a stream. */
export async function sealStream(
  plain: ReadableStream<Uint8Array>,
  to: SealedTo,
): Promise<ReadableStream<Uint8Array>> {
  const encrypter = new Encrypter();
  if ("passphrase" in to) encrypter.addRecipient(passphraseRecipient(to.passphrase));
  else for (const recipient of to.recipients) encrypter.addRecipient(recipient);
  return encrypter.encrypt(plain);
}

/** Opens a sealed stream, piece by piece, each verified before it is given. Throws SealedError, at the end at the latest. */
export async function* openStream(
  sealed: AsyncIterable<Uint8Array>,
  by: OpenedBy,
): AsyncGenerator<Uint8Array> {
  const decrypter = new Decrypter();
  for (const identity of by.identities) decrypter.addIdentity(identity);
  let failed: Error | undefined;
  const source = ReadableStream.from(
    withFirstLine(sealed, (error) => {
      failed = error instanceof Error ? error : new Error("the sealed stream broke off");
    }),
  );
  try {
    yield* (await decrypter.decrypt(source)) as unknown as AsyncIterable<Uint8Array>;
  } catch (error) {
    // What went wrong with the source itself is not about the seal.
    if (failed !== undefined) throw failed;
    throw explain(error);
  }
}

/** The stream, once it is clear that it is age's: of another file the library would look for a line's end for ever. */
async function* withFirstLine(
  sealed: AsyncIterable<Uint8Array>,
  onError: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  let head: Buffer | undefined = Buffer.alloc(0);
  try {
    for await (const chunk of sealed) {
      if (head === undefined) {
        yield chunk;
        continue;
      }
      head = Buffer.concat([head, chunk]);
      if (head.length < FIRST_LINE.length) continue;
      if (head.toString("latin1", 0, FIRST_LINE.length) !== FIRST_LINE) throw notSealed();
      yield head;
      head = undefined;
    }
    if (head !== undefined) throw notSealed();
  } catch (error) {
    onError(error);
    throw error;
  }
}

function notSealed(): SealedError {
  return new SealedError("this is not a file that age has sealed (without --armor)");
}

function explain(error: unknown): SealedError {
  const message = error instanceof Error ? error.message : "";
  return new SealedError(
    message.startsWith("no identity matched")
      ? "the backup doesn't open: it was sealed to another key or with another passphrase"
      : "the backup is damaged: bytes of it were changed, or its end is missing",
  );
}
