// Makes a backup's file, for `x3sproxy backup`. The service encrypts to a key that exists only for this command. Here the backup is
// decrypted, verified to its end, and encrypted to its recipients, so that the service never sees a passphrase. The file appears only once
// it is complete.
import { resolve } from "node:path";
import {
  ContainerError,
  isRecipient,
  newIdentity,
  openStream,
  readContainer,
  SealedError,
  sealStream,
  type Contents,
  type SealedTo,
} from "../backup/index.ts";
import { download } from "./api.ts";
import type { Outcome } from "./output.ts";
import { Failure } from "./failure.ts";
import { writePrivateFile } from "./private-file.ts";
import { createProgress } from "./progress.ts";
import { readNewPassphrase } from "./prompt.ts";

export interface BackupOptions {
  readonly output: string;
  readonly recipient?: string[];
  readonly passphrase?: true;
}

/** Saves a backup. If it throws Failure, no file is left. */
export async function makeBackup(options: BackupOptions): Promise<Outcome> {
  const sealedTo = await whoFor(options);
  const output = resolve(options.output);
  const { header, rows, sha256, bytes } = await save(output, sealedTo);
  const masterKeys = header.masterKeys.map(({ id }) => id);
  const { id, createdAt } = header;
  const text =
    `Saved ${output}: ${rows} rows as they were at ${createdAt}, ${bytes} bytes, verified to the end.\n` +
    `The master key is not in it. To restore, ${masterKeys.join(", ") || "the service's"} is needed: keep it elsewhere.`;
  return { json: { id, file: output, createdAt, rows, sha256, bytes, masterKeys }, text };
}

async function whoFor({ recipient = [], passphrase }: BackupOptions): Promise<SealedTo> {
  if (passphrase === true) {
    if (recipient.length === 0) return { passphrase: await readNewPassphrase() };
    throw new Failure("usage", "Give --recipient or --passphrase, not both.");
  }
  if (recipient.length === 0) {
    throw new Failure(
      "usage",
      "Say who can open it: --recipient age1… (age-keygen makes a key), or --passphrase.",
    );
  }
  if (!recipient.every(isRecipient)) {
    throw new Failure("recipient_invalid", "--recipient: give public keys of age, as in age1….");
  }
  return { recipients: recipient };
}

async function save(output: string, sealedTo: SealedTo): Promise<Contents & { bytes: number }> {
  const { promise: whole, resolve } = Promise.withResolvers<Contents>();
  const bytes = await writePrivateFile(output, sealedBackup(sealedTo, resolve));
  return { ...(await whole), bytes };
}

/** Requests a backup on the first read. Calls `onWhole` once it is complete, before it ends. Throws Failure. */
async function* sealedBackup(
  sealedTo: SealedTo,
  onWhole: (contents: Contents) => void,
): AsyncGenerator<Uint8Array> {
  const progress = createProgress("megabytes backed up");
  let bytes = 0;
  try {
    const { identity, recipient } = await newIdentity();
    const answer = download(
      "POST /backups",
      { body: { recipients: [recipient] } },
      "application/octet-stream",
    );
    const plain = openStream(answer, { identities: [identity] });
    // Two readers of one stream: one checks that it is complete, one encrypts it. Both go as fast as the slower one.
    const toSeal = new TransformStream<Uint8Array, Uint8Array>();
    const reading = readVerified(plain, toSeal.writable.getWriter());
    reading.catch(() => undefined);
    for await (const piece of await sealStream(toSeal.readable, sealedTo)) {
      yield piece;
      bytes += piece.length;
      progress.report(Math.floor(bytes / 1_000_000));
    }
    onWhole(await reading);
  } catch (error) {
    if (!(error instanceof SealedError || error instanceof ContainerError)) throw error;
    throw new Failure(
      "broken_off",
      "The backup broke off: nothing was saved. The service's log says why.",
    );
  }
}

async function readVerified(
  plain: AsyncIterable<Uint8Array>,
  sink: WritableStreamDefaultWriter<Uint8Array>,
): Promise<Contents> {
  async function* passedOn(): AsyncGenerator<Uint8Array> {
    for await (const piece of plain) {
      await sink.write(piece);
      yield piece;
    }
  }
  try {
    const contents = await readContainer(passedOn(), {});
    await sink.close();
    return contents;
  } catch (error) {
    await sink.abort(error).catch(() => undefined);
    throw error;
  }
}
