// The search of the canary: whether bytes hold a text in any form in which programs write texts down.

/** A text that must not be found, and what to call it in a report, which never quotes it. */
export interface Watched {
  readonly name: string;
  readonly text: string;
}

/** Something that the product has made or shown. */
export interface Artefact {
  readonly place: string;
  readonly bytes: Buffer;
  /** Names of what it holds rightly. */
  readonly mayHold?: readonly string[];
}

/** One line for each text that an artefact holds and should not. */
export function findLeaks(artefacts: readonly Artefact[], watched: readonly Watched[]): string[] {
  const needles = watched.map(({ name, text }) => ({ name, forms: [...formsOf(text)] }));
  return artefacts.flatMap(({ place, bytes, mayHold = [] }) =>
    needles
      .filter(({ name }) => !mayHold.includes(name))
      .flatMap(({ name, forms }) =>
        forms
          .filter(([, form]) => bytes.includes(form))
          .map(([form]) => `${place} holds ${name} (${form})`),
      ),
  );
}

/** The forms of a text, as the bytes to look for. */
export function formsOf(text: string): Map<string, Buffer> {
  const bytes = Buffer.from(text);
  const each = (write: (byte: number) => string, between = ""): string =>
    Array.from(bytes, write).join(between);
  const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
  const forms: Record<string, string> = {
    plain: text,
    "hex, lower case": bytes.toString("hex"),
    "hex, upper case": bytes.toString("hex").toUpperCase(),
    "hex, as a Buffer is printed": each(hex, " "),
    "hex, as a C string": each((byte) => `\\x${hex(byte)}`),
    decimals: each(String, ","),
    "decimals with spaces": each(String, ", "),
    "URL, where needed": encodeURIComponent(text),
    "URL, every byte": each((byte) => `%${hex(byte)}`),
    "URL, every byte, upper case": each((byte) => `%${hex(byte).toUpperCase()}`),
    "JSON string": JSON.stringify(text).slice(1, -1),
    "JSON string, slashes escaped": JSON.stringify(text).slice(1, -1).replaceAll("/", "\\/"),
    "JSON string, every character": each((byte) => `\\u00${hex(byte)}`),
    HTML: text.replace(/[&<>"']/g, (it) => `&#${it.charCodeAt(0)};`),
  };
  // Base64 depends on where in a text the watched one begins; its first and last characters also on its neighbours.
  for (const before of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(before), bytes]);
    const from = Math.ceil((before * 8) / 6);
    const to = Math.floor((whole.length * 8) / 6);
    forms[`base64, ${before} bytes in`] = whole.toString("base64").slice(from, to);
    forms[`base64url, ${before} bytes in`] = whole.toString("base64url").slice(from, to);
  }
  const found = new Map<string, Buffer>([["UTF-16", Buffer.from(text, "utf16le")]]);
  const different = new Set<string>();
  for (const [name, form] of Object.entries(forms)) {
    if (!different.has(form)) found.set(name, Buffer.from(form));
    different.add(form);
  }
  return found;
}
