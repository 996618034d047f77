// What a check of the doctor has to say. Must never hold a secret, nor the text of another program's error.

export type Severity = "ok" | "note" | "warning" | "critical";

export type Group = "TLS" | "Access" | "Files" | "Database" | "Network" | "Machine" | "Upkeep";

export interface Finding {
  /** Stable, for programs. */
  readonly id: string;
  readonly group: Group;
  readonly severity: Severity;
  /** What was found: a sentence. */
  readonly what: string;
  /** Why it matters; empty for `ok`. */
  readonly why: string;
  /** A command or a setting that mends it; empty for `ok`. */
  readonly fix: string;
}

/** A check that could not be made, and why. */
export interface Skipped {
  readonly id: string;
  readonly why: string;
}

/** Collects what the checks of one group say. */
export class Findings {
  readonly all: Finding[] = [];
  readonly skipped: Skipped[] = [];

  ok(group: Group, id: string, what: string): void {
    this.all.push({ id, group, severity: "ok", what, why: "", fix: "" });
  }

  add(
    group: Group,
    severity: Exclude<Severity, "ok">,
    id: string,
    said: { what: string; why: string; fix: string },
  ): void {
    this.all.push({ id, group, severity, ...said });
  }

  skip(id: string, why: string): void {
    this.skipped.push({ id, why });
  }
}

/** The code of an error, which tells what went wrong and quotes nothing. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? "no answer";
}
