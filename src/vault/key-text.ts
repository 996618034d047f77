// The text form of master keys, and of master keys sealed by a key service: base64, in a file one value a line, with comments. Errors
// say what is wrong and where, and must never quote a value.
import { ConfigError } from "../platform/errors.ts";
import { MASTER_KEY_BYTES, MasterKey } from "./master-key.ts";

/** The maximum length of a key file, and of a command's output. */
export const MAX_TEXT_BYTES = 16 * 1024;
const MAX_VALUES = 20;
const MAKE_ONE = "Make one: x3sproxy master-key generate (or: openssl rand -base64 32)";

/** The values in a file, one a line, without surrounding white space and without comments (`#` to the end of the line). */
export function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "");
}

/** The values in an environment variable, separated by commas or white space. */
export function wordsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}

/** Parses each value as a master key, and drops duplicates. `spokenName`: their source, for messages. Throws ConfigError. */
export function parseKeys(values: readonly string[], spokenName: string): MasterKey[] {
  const [first = ""] = values;
  const all = decodeAll(values.length === 0 ? [first] : values, {
    subject: "the master key",
    spokenName,
    advice: MAKE_ONE,
  });
  const wrong = all.findIndex((bytes) => bytes.length !== MASTER_KEY_BYTES);
  if (wrong >= 0) {
    const length = all[wrong]?.length ?? 0;
    for (const bytes of all) bytes.fill(0);
    throw new ConfigError(
      `the master key in ${placeOf(spokenName, wrong, all.length)} has the wrong length: ` +
        `${length} bytes, and ${MASTER_KEY_BYTES} are needed. ${MAKE_ONE}`,
    );
  }
  const keys = new Map<string, MasterKey>();
  for (const bytes of all) {
    const key = new MasterKey(bytes);
    keys.set(key.id, key);
  }
  return [...keys.values()];
}

/** Decodes base64 or base64url (RFC 4648), padded or not. Throws ConfigError for anything else, and for too many values. */
export function decodeAll(
  values: readonly string[],
  o: { subject: string; spokenName: string; advice: string },
): Buffer[] {
  if (values.length > MAX_VALUES) {
    throw new ConfigError(`there are more than ${MAX_VALUES} master keys in ${o.spokenName}`);
  }
  values.forEach((value, i) => {
    if (/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return;
    const place = placeOf(o.spokenName, i, values.length);
    throw new ConfigError(`${o.subject} in ${place} is not base64. ${o.advice}`);
  });
  return values.map((value) => Buffer.from(value, "base64"));
}

function placeOf(spokenName: string, index: number, count: number): string {
  return count > 1 ? `${spokenName} (the ${index + 1}. value)` : spokenName;
}
