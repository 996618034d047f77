// Characters that nobody sees, or that change how others are seen: controls, marks of direction, formats, lone surrogates. A name that holds
// one can look like another name. Where names come in they are refused, where old ones or others' are shown they are escaped.

// As parts of a regular expression that needs no flag and that other languages read, too, so that it can stand in a JSON Schema. A test
// compares them with what Unicode says.
const HIDDEN =
  "\\u034f\\u17b4\\u17b5\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u115f\\u1160\\u180e\\u200b-\\u200f\\u2028-\\u202e" +
  "\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb";
// Of two code units: all but U+1BCA0 to U+1BCA3, U+1D173 to U+1D17A and U+E0000 to U+E0FFF.
const BEYOND =
  "[\\ud800-\\ud82e\\ud830-\\ud833\\ud835-\\udb3f\\udb44-\\udbff][\\udc00-\\udfff]" +
  "|\\ud82f[\\udc00-\\udc9f\\udca4-\\udfff]|\\ud834[\\udc00-\\udd72\\udd7b-\\udfff]";
const VISIBLE = `[^${HIDDEN}\\ud800-\\udfff]|${BEYOND}`;

/** One line of nothing but visible characters, or nothing. */
export const VISIBLE_LINE = new RegExp(`^(?:${VISIBLE})*$`);

const EACH = new RegExp(`(?:${VISIBLE}|\\n)+|([^])`, "g");

/** `text` with `\u202e` in place of that character, and so on; line feeds stay. Of a text in JSON the same value in JSON. */
export function escapeHidden(text: string): string {
  return text.replace(EACH, (part, hidden?: string) =>
    hidden === undefined ? part : `\\u${hidden.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
