// Where the master keys come from: a file, the environment, a command, AWS KMS, or the file that the embedded default makes for itself.
// One source, and in it one key or several. Keys go from here into a ring and nowhere else.
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
 * Loads the master keys from the source that `config` names, or else from `master.key` in the data folder of the embedded default;
 * that one is made (mode 0600) when it is absent and `mayCreate` says that no database exists yet. Throws ConfigError that says what
 * is wrong: missing, unreadable, readable by others, not base64, its length, or what the command or the key service had to say.
 */
export async function loadMasterKeys(
  config: KeyConfig,
  { mayCreate }: { mayCreate: boolean },
): Promise<KeyRing> {
  const source = config.masterKey;
  if (source === undefined) return ownKeys(config, mayCreate);
  if ("value" in source) return new KeyRing(parseKeys(wordsOf(source.value), SETTINGS.value));
  if ("command" in source) {
    const parse = (text: string): MasterKey[] =>
      parseKeys(linesOf(text), `the output of ${COMMAND_SETTING}`);
    return new KeyRing(await readFromCommand(source.command, commandEnvironment(), parse));
  }
  if ("file" in source) {
    const parse = (text: string): MasterKey[] => parseKeys(linesOf(text), SETTINGS.file);
    const { content, warning } = await given(SETTINGS.file, source.file, parse, "where it is ours");
    return new KeyRing(content, warning);
  }
  const { content } = await given(SETTINGS.kms, source.kmsFile, parseSealedKeys, "never");
  // Here and not above: it is seldom needed.
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

/** Of a file that a setting names. The path is not quoted: it may be a key that was put into the wrong variable. */
async function given<T>(
  setting: string,
  file: string,
  parse: (text: string) => T,
  modeMatters: "where it is ours" | "never",
) {
  const read = await readKeyFile(file, setting, parse, modeMatters);
  if (read !== undefined) return read;
  throw new ConfigError(`the master key is missing: ${setting} names no file`);
}

async function ownKeys(
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
