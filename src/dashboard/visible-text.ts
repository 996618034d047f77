// Escapes invisible characters, and those that change how others are shown: old rows, and texts from agents and upstreams, may hold some. The
// same escapes as the command line's; a test compares them.

const HIDDEN =
  /[[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]--[\u180b-\u180d\u180f\ufe00-\ufe0f\n]]/gv;

/** `text` with such characters as escapes, as in `\u202e`. Line feeds stay. */
export function escapeHidden(text: string): string {
  return text.replace(HIDDEN, (hidden) =>
    hidden
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}
