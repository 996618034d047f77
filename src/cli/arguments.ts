// Parsers of option values. A value that can't be read is wrong usage: exit status 2.
import { InvalidArgumentError } from "commander";
import type { Clock } from "../platform/clock.ts";
import { parseDuration } from "../platform/config-values.ts";

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError("Give a whole number from 1.");
  }
  return value;
}

/** A duration such as 90s or 12h, in whole seconds; or `none`. */
export function lifeSeconds(text: string): number | "none" {
  if (text === "none") return text;
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1000) {
    throw new InvalidArgumentError("Give a duration, as in 30m, 12h or 7d, or none.");
  }
  return Math.floor(ms / 1000);
}

/** `a,b` as a list; or `all`. */
export function providerList(text: string): string[] | "all" {
  if (text === "all") return text;
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) {
    throw new InvalidArgumentError("Give names with commas between them, as in openai,anthropic.");
  }
  return names;
}

/** For an option that can be given several times. */
export function collect(text: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), text];
}

/** A number of bytes, as in 500000, 64kB or 20MB. */
export function bytes(text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,12})(|kB|MB|GB)$/i.exec(text) ?? [];
  const value = Number(digits) * 1000 ** ["", "kb", "mb", "gb"].indexOf(unit.toLowerCase());
  if (digits === "" || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError("Give a number of bytes, as in 500000, 64kB or 20MB.");
  }
  return value;
}

/** A moment, as in 30d (from now) or 2027-01-31T12:00:00Z, in ISO 8601; or `never`. */
export function moment(clock: Clock): (text: string) => string {
  return (text) => {
    if (text === "never") return text;
    const ms = parseDuration(text);
    const at = new Date(ms === undefined ? text : clock.nowMs() + ms);
    if (Number.isNaN(at.getTime()) || (ms === undefined && !/^\d{4}-\d\d-\d\d/.test(text))) {
      throw new InvalidArgumentError("Give a time, as in 30d or 2027-01-31T12:00:00Z, or never.");
    }
    return at.toISOString();
  };
}

/** A value that `parse` reads, or `none`. */
export function orNone(parse: (text: string) => number): (text: string) => number | "none" {
  return (text) => (text === "none" ? text : parse(text));
}

const RETENTIONS: Readonly<Record<string, number>> = { soc2: 365, hipaa: 6 * 365 };

/** How long the audit is kept, in days: a preset, or days as in 90d; or `forever`. */
export function retentionDays(text: string): number | "forever" {
  if (text === "forever") return text;
  const days = RETENTIONS[text] ?? Number(/^(\d{1,5})d$/.exec(text)?.[1] ?? 0);
  if (days < 30 || days > 36_500) {
    throw new InvalidArgumentError("Give soc2, hipaa, days from 30d to 36500d, or forever.");
  }
  return days;
}
