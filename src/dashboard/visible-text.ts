// Characters that nobody sees, or that change how others are seen, in what the service answers: old rows, and what agents and upstreams
// sent, may hold some. The same as the command line shows; a test compares the two.

const HIDDEN =
  /[[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]--[\u180b-\u180d\u180f\ufe00-\ufe0f\n]]/gv;

/** `text` with `\u202e` in place of that character, and so on; line feeds stay. */
export function escapeHidden(text: string): string {
  return text.replace(HIDDEN, (hidden) =>
    hidden
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}
