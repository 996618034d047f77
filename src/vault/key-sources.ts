// Where the master keys come from: a file, the environment, a command, AWS KMS, or the file that an embedded service generates for
// itself; also generates new keys. A service has one source, with one or more keys. Keys that are loaded may go into a key ring alone.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import {
  commandEnvironment,
  readAwsSettings,
  readUpstreamProxy,
  type Config,
} from "../platform/config.ts";
import { ConfigError } from "../platform/errors.ts";
import { readFromCommand, COMMAND_SETTING } from "./key-command.ts";
import { createKeyFile, readKeyFile } from "./key-file.ts";
import { KeyRing, MASTER_KEY_BYTES, MasterKey } from "./master-key.ts";
import { decodeAll, linesOf, parseKeys, wordsOf } from "./key-text.ts";

const SETTINGS = {
  file: "X3SPROXY_MASTER_KEY_FILE",
  value: "X3SPROXY_MASTER_KEY",
  kms: "X3SPROXY_MASTER_KEY_KMS",
} as const;

type KeyConfig = Pick<Config, "masterKey" | "dataDir" | "databaseUrl"> &
  Partial<Pick<Config, "upstreamProxy">>;

/**
 * Loads the master keys from the source that `config` names, by default from `master.key` in the data folder of an embedded service.
 * Generates that file (mode 0600) when it is missing and `mayCreate` says that no database exists yet. Throws ConfigError with the
 * reason: missing, unreadable, readable by others, not base64, of the wrong length, or refused by the command or the key service.
 */
export async function loadMasterKeys(
  config: KeyConfig,
  { mayCreate }: { mayCreate: boolean },
): Promise<KeyRing> {
  const source = config.masterKey;
  if (source === undefined) return embeddedKeys(config, mayCreate);
  if ("value" in source) return new KeyRing(parseKeys(wordsOf(source.value), SETTINGS.value));
  if ("command" in source) {
    const parse = (text: string): MasterKey[] =>
      parseKeys(linesOf(text), `the output of ${COMMAND_SETTING}`);
    return new KeyRing(await readFromCommand(source.command, commandEnvironment(), parse));
  }
  if ("file" in source) {
    const parse = (text: string): MasterKey[] => parseKeys(linesOf(text), SETTINGS.file);
    const { content, warning } = await readNamed(SETTINGS.file, source.file, parse, "if ours");
    return new KeyRing(content, warning);
  }
  const { content } = await readNamed(SETTINGS.kms, source.kmsFile, parseSealedKeys, "never");
  // Imported only here, since few services need it.
  const { decryptMasterKeys } = await import("./aws-kms.ts");
  return new KeyRing(await decryptMasterKeys(content, source.aws, config.upstreamProxy));
}

function parseSealedKeys(text: string): Buffer[] {
  const sealed = decodeAll(linesOf(text), {
    subject: "the sealed master key",
    spokenName: SETTINGS.kms,
    advice: "Make one: x3sproxy master-key generate --kms <key>",
  });
  if (sealed.length === 0) throw new ConfigError(`there is no value in ${SETTINGS.kms}`);
  return sealed;
}

/** Reads the file that a setting names. Never quotes the path: it may be a key that was set in the wrong variable. */
async function readNamed<T>(
  setting: string,
  file: string,
  parse: (text: string) => T,
  modeMatters: "if ours" | "never",
) {
  const read = await readKeyFile(file, setting, parse, modeMatters);
  if (read !== undefined) return read;
  throw new ConfigError(`the master key is missing: ${setting} names no file`);
}

async function embeddedKeys(
  { dataDir, databaseUrl }: Pick<Config, "dataDir" | "databaseUrl">,
  mayCreate: boolean,
): Promise<KeyRing> {
  if (databaseUrl !== undefined) {
    throw new ConfigError(
      "the master key is missing: with DATABASE_URL, X3SPROXY_MASTER_KEY_FILE (or X3SPROXY_MASTER_KEY, _COMMAND or _KMS) is required. " +
        "For a new database make one: x3sproxy master-key generate --output master.key " +
        "(or: openssl rand -base64 32 > master.key && chmod 600 master.key)",
    );
  }
  const path = join(dataDir, "master.key");
  if (mayCreate) await createKeyFile(dataDir, path);
  const parse = (text: string): MasterKey[] => parseKeys(linesOf(text), path);
  const read = await readKeyFile(path, path, parse, "always");
  if (read !== undefined) return new KeyRing(read.content);
  throw new ConfigError(
    `the master key is missing: ${path} is gone, and the database beside it was sealed under it. ` +
      "Restore it from your backup",
  );
}

/**
 * Generates a master key and passes it to `write` as a line of base64; resolves to its id. The line is zeroed afterwards. With `kmsKey`
 * (an id, alias or ARN) AWS KMS generates the key and the line is sealed by KMS; its id is then unknown. Throws ConfigError.
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
