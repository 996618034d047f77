// What the database says about a row that can't be, for those who turn it into an answer.

const UNIQUE_VIOLATION = "23505";

/** Whether a row was refused because there is one like it. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === UNIQUE_VIOLATION;
}
