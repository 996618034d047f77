// Invisible characters, and those that change how others are shown: controls, marks of direction, formats, lone surrogates. With them one
// name can look like another. New names with them are refused; wherever texts are shown, they are escaped.

// Parts of a regular expression without flags, which a JSON Schema can hold and other languages can read. A test compares them with Unicode's
// data.
const HIDDEN =
  "\\u034f\\u17b4\\u17b5\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u115f\\u1160\\u180e\\u200b-\\u200f\\u2028-\\u202e" +
  "\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb";
// Surrogate pairs: all except U+1BCA0 to U+1BCA3, U+1D173 to U+1D17A and U+E0000 to U+E0FFF.
const BEYOND =
  "[\\ud800-\\ud82e\\ud830-\\ud833\\ud835-\\udb3f\\udb44-\\udbff][\\udc00-\\udfff]" +
  "|\\ud82f[\\udc00-\\udc9f\\udca4-\\udfff]|\\ud834[\\udc00-\\udd72\\udd7b-\\udfff]";
const VISIBLE = `[^${HIDDEN}\\ud800-\\udfff]|${BEYOND}`;

/** One line of visible characters, or the empty text. */
export const VISIBLE_LINE = new RegExp(`^(?:${VISIBLE})*$`);

const EACH = new RegExp(`(?:${VISIBLE}|\\n)+|([^])`, "g");

/** `text` with such characters as escapes, as in `\u202e`. Line feeds stay. JSON keeps its value. */
export function escapeHidden(text: string): string {
  return text.replace(EACH, (part, hidden?: string) =>
    hidden === undefined ? part : `\\u${hidden.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
