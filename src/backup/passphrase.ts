// Sealing by a passphrase, as age does (age-encryption.org/v1, "scrypt"), with Node's scrypt. The library's scrypt in JavaScript takes ten
// times as long and blocks the event loop. Must never keep the passphrase longer than its recipient or identity.
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { promisify } from "node:util";
import { Stanza, type Identity, type Recipient } from "age-encryption";

type Scrypt = (
  password: string,
  salt: Buffer,
  length: number,
  options: { N: number; r: number; p: number; maxmem: number },
) => Promise<Buffer>;

// The same as age uses: about a second.
const WORK_FACTOR = 18;
const MAX_WORK_FACTOR = 20;
const SALT_BYTES = 16;
const TAG_BYTES = 16;
const FILE_KEY_BYTES = 16;
const NO_NONCE = Buffer.alloc(12); // each key seals one file key
const CIPHER = "chacha20-poly1305";

/** Seals a file key with a passphrase. */
export function passphraseRecipient(passphrase: string): Recipient {
  return {
    async wrapFileKey(fileKey) {
      const salt = randomBytes(SALT_BYTES);
      const key = await derive(passphrase, salt, WORK_FACTOR);
      const cipher = createCipheriv(CIPHER, key, NO_NONCE, { authTagLength: TAG_BYTES });
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
      return [new Stanza(["scrypt", base64(salt), String(WORK_FACTOR)], new Uint8Array(body))];
    },
  };
}

/** Opens what was sealed with the passphrase. Caches the key of the last file, since a restore opens its file twice. */
export function passphraseIdentity(passphrase: string): Identity {
  const keys = new Map<string, Promise<Buffer>>();
  return {
    async unwrapFileKey(stanzas) {
      const [stanza] = stanzas;
      if (!stanzas.some(({ args }) => args[0] === "scrypt") || stanza === undefined) return null;
      const [, salt = "", work = ""] = stanza.args;
      const bytes = Buffer.from(salt, "base64");
      if (
        stanzas.length !== 1 ||
        stanza.args.length !== 3 ||
        bytes.length !== SALT_BYTES ||
        base64(bytes) !== salt ||
        !/^[1-9]\d?$/.test(work) ||
        Number(work) > MAX_WORK_FACTOR ||
        stanza.body.length !== FILE_KEY_BYTES + TAG_BYTES
      ) {
        throw new Error("invalid scrypt stanza");
      }
      const name = `${salt} ${work}`;
      const key = keys.get(name) ?? derive(passphrase, bytes, Number(work));
      keys.clear();
      keys.set(name, key);
      return open(await key, stanza.body);
    },
  };
}

/** Null when the passphrase is wrong. */
function open(key: Buffer, body: Uint8Array): Uint8Array | null {
  const decipher = createDecipheriv(CIPHER, key, NO_NONCE, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES));
  try {
    const opened = [decipher.update(body.subarray(0, FILE_KEY_BYTES)), decipher.final()];
    return new Uint8Array(Buffer.concat(opened));
  } catch {
    return null;
  }
}

function derive(passphrase: string, salt: Buffer, work: number): Promise<Buffer> {
  const labelled = Buffer.concat([Buffer.from("age-encryption.org/v1/scrypt"), salt]);
  const [N, r] = [2 ** work, 8];
  const options = { N, r, p: 1, maxmem: 129 * N * r + 1_000_000 };
  return (promisify(scrypt) as Scrypt)(passphrase, labelled, 32, options);
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
