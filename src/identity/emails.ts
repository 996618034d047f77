// The normal form of e-mail addresses, under which users are stored and found.

/** Lower case, without white space around it. Accepts any text. */
export function normalizeEmail(text: string): string {
  // Postgres accepts no NUL. No valid address contains its replacement.
  return text.trim().toLowerCase().replaceAll("\0", "\ufffd");
}
