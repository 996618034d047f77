// New master keys. The key's text goes into a buffer that is zeroed, to the one place that the caller has for it.
import { randomBytes } from "node:crypto";
import { readAwsSettings, readUpstreamProxy } from "../platform/config.ts";
import { MASTER_KEY_BYTES, MasterKey } from "./master-key.ts";

/**
 * Makes a master key and gives its line (base64, and a line's end) to `write`; resolves to its id. With `kmsKey` (an id, alias or ARN)
 * AWS KMS makes it, and the line is what only KMS can open: its id is not known before that. Throws ConfigError.
 */
export async function generateMasterKey(
  o: { kmsKey?: string | undefined },
  write: (line: Buffer) => Promise<void>,
): Promise<string | undefined> {
  if (o.kmsKey !== undefined) {
    const { generateSealedKey } = await import("./aws-kms.ts");
    const sealed = await generateSealedKey(o.kmsKey, readAwsSettings(), readUpstreamProxy());
    await write(Buffer.from(`${sealed}\n`));
    return undefined;
  }
  const bytes = randomBytes(MASTER_KEY_BYTES);
  const line = Buffer.from(`${bytes.toString("base64")}\n`);
  try {
    const { id } = new MasterKey(bytes);
    await write(line);
    return id;
  } finally {
    line.fill(0);
  }
}
