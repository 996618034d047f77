// The result of a check. Must never hold a secret, or the text of another program's error.
import { ConfigError, StoreUnavailableError } from "../platform/errors.ts";

export type Severity = "ok" | "note" | "warning" | "critical";

export type Group = "TLS" | "Access" | "Files" | "Database" | "Network" | "Machine" | "Upkeep";

export interface Finding {
  /** Stable, for programs. */
  readonly id: string;
  readonly group: Group;
  readonly severity: Severity;
  /** What was found: a sentence. */
  readonly what: string;
  /** Why it matters. Empty for `ok`. */
  readonly why: string;
  /** A command or a setting that mends it. Empty for `ok`. */
  readonly fix: string;
}

/** A check that could not be made, or had nothing to check, and why. */
export interface Skipped {
  readonly id: string;
  readonly why: string;
}

/** Collects the results of one group of checks. */
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

  /** Whether there is a result for `id`. */
  has(id: string): boolean {
    return [...this.all, ...this.skipped].some((each) => each.id === id);
  }
}

/** An error's code: it says what went wrong and quotes nothing. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  const { code } = error as { code?: unknown };
  if (code === "ABORT_ERR") return "no answer in time";
  if (typeof code === "string") return code;
  return error.name === "Error" ? "no answer" : error.name;
}

/** The message of one of our own errors, which are written for people. Undefined for other errors. */
export function saidBy(error: unknown): string | undefined {
  if (!(error instanceof ConfigError || error instanceof StoreUnavailableError)) return undefined;
  const text = error.message.replace(/\.$/, "");
  return `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}.`;
}

/** Names for a sentence: the first few, and how many more there are. */
export function listed(names: readonly string[], most = 5): string {
  const rest = names.length - most;
  return rest <= 0 ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${rest} more`;
}
