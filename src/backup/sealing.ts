// Seals and opens backups in the age format (age-encryption.org/v1), so that `age -d` opens them, too. Streams in constant memory. Must
// never give a byte that wasn't verified.
import {
  Decrypter,
  Encrypter,
  generateX25519Identity,
  identityToRecipient,
  type Identity,
} from "age-encryption";
import { passphraseRecipient } from "./passphrase.ts";

/** Who can open a backup: the owners of age recipients, or anyone who knows the passphrase. */
export type SealedTo = { readonly recipients: readonly string[] } | { readonly passphrase: string };

/** What opens a backup. */
export interface OpenedBy {
  /** Secret keys of age, or a `passphraseIdentity`. */
  readonly identities: readonly (string | Identity)[];
}

/** A backup doesn't open: the key is wrong, or bytes were changed or are missing. The message says which, as far as it is known. */
export class SealedError extends Error {
  override name = "SealedError";
}

const FIRST_LINE = "age-encryption.org/v1\n";

/** Whether `text` is a public key of age. */
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

/** Generates a key pair of age, to protect one backup on its way from the service to the client. */
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

/** Opens a sealed stream. Verifies each piece before it yields it. Throws SealedError, at the end at the latest. */
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
    // An error of the source itself is not about the sealing.
    if (failed !== undefined) throw failed;
    throw explain(error);
  }
}

/** The stream, after checking that it begins as an age file does. In another file the library might search for a line's end without a bound. */
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
