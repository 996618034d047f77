// Reads values of unknown type: errors and texts. Never throws.

/** The code of an error: of the system (ENOENT), of Postgres (an SQLSTATE) or of a library. Undefined: it has none. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Parses JSON (RFC 8259). Undefined: the text is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
