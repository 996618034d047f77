// What a check of the doctor has to say. Must never hold a secret, nor the text of another program's error.
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
  /** Why it matters; empty for `ok`. */
  readonly why: string;
  /** A command or a setting that mends it; empty for `ok`. */
  readonly fix: string;
}

/** A check that could not be made, or has nothing to look at, and why. */
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

  /** Whether something was said of `id`. */
  has(id: string): boolean {
    return [...this.all, ...this.skipped].some((each) => each.id === id);
  }
}

/** The code of an error, which tells what went wrong and quotes nothing. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  const { code } = error as { code?: unknown };
  if (code === "ABORT_ERR") return "no answer in time";
  if (typeof code === "string") return code;
  return error.name === "Error" ? "no answer" : error.name;
}

/** What one of our own errors, whose message is for people, says; undefined for another's. */
export function saidBy(error: unknown): string | undefined {
  if (!(error instanceof ConfigError || error instanceof StoreUnavailableError)) return undefined;
  const text = error.message.replace(/\.$/, "");
  return `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}.`;
}

/** Names for a sentence: the first of them, and how many more there are. */
export function listed(names: readonly string[], most = 5): string {
  const rest = names.length - most;
  return rest <= 0 ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${rest} more`;
}
