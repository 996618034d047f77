// E-mail addresses: one spelling for each.

/** The spelling under which an address is kept and found: in lower case, without white space around it. Takes any text. */
export function normalizeEmail(text: string): string {
  // Postgres takes no NUL; with what stands in its place no address is valid.
  return text.trim().toLowerCase().replaceAll("\0", "\ufffd");
}
