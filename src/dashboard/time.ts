// Times, durations, numbers and sizes as people read them. The dashboard's one clock is here.
import { useSyncExternalStore } from "react";

const TICK_MS = 30_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const minute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const short = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric" });
const plain = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** The time now, in ms since 1970. For what is shown and moves on: useNowMs. */
export const currentMs = (): number => new Date().getTime();

let nowMs = currentMs();

function subscribe(changed: () => void): () => void {
  const timer = setInterval(() => {
    nowMs = currentMs();
    changed();
  }, TICK_MS);
  return () => clearInterval(timer);
}

/** The time, in ms since 1970, moving on every half minute. */
export function useNowMs(): number {
  return useSyncExternalStore(subscribe, () => nowMs);
}

/** "3 hours ago", "in 2 days". */
export function relativeTime(iso: string, fromMs: number): string {
  const ms = Date.parse(iso) - fromMs;
  const size = Math.abs(ms);
  // The clock here may be a tick behind: what has just happened is not to come.
  if (size < MINUTE_MS) return ms > TICK_MS ? "in a moment" : "just now";
  if (size < HOUR_MS) return relative.format(Math.round(ms / MINUTE_MS), "minute");
  if (size < DAY_MS) return relative.format(Math.round(ms / HOUR_MS), "hour");
  if (size < 60 * DAY_MS) return relative.format(Math.round(ms / DAY_MS), "day");
  return relative.format(Math.round(ms / (30.44 * DAY_MS)), "month");
}

export const exactTime = (iso: string): string => exact.format(new Date(iso));
export const minuteTime = (iso: string): string => minute.format(new Date(iso));
/** Without the year: for tables, beside the exact one on hover. */
export const shortTime = (iso: string): string => short.format(new Date(iso));

/** A tick of a chart's time axis. */
export function tickTime(iso: string, spanHours: number): string {
  return (spanHours <= 48 ? hour : weekday).format(new Date(iso));
}

export const number = (value: number): string => plain.format(value);
export const shortNumber = (value: number): string => compact.format(value);

/** "1 request", "2 requests". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** "12.3 MB", by thousands. */
export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let rest = value;
  let unit = 0;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit] ?? ""}`;
}

/** "840 ms", "12.4 s". */
export function duration(ms: number | null): string {
  if (ms === null) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** "every minute", "every 30 minutes", "every 3 hours". */
export function stepText(seconds: number): string {
  if (seconds % 3600 === 0) return seconds === 3600 ? "hour" : `${seconds / 3600} hours`;
  return seconds === 60 ? "minute" : `${Math.round(seconds / 60)} minutes`;
}

/** ISO time `hours` before `fromMs`. */
export const hoursBefore = (hours: number, fromMs: number): string =>
  new Date(fromMs - hours * HOUR_MS).toISOString();

/** ISO time of what a datetime field holds, which is local time; undefined when it holds none. */
export function isoOfLocal(local: string | null): string | undefined {
  const ms = Date.parse(local ?? "");
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** What a datetime field holds for it: local time, to the minute; empty for null. */
export function localOfIso(iso: string | null): string {
  if (iso === null) return "";
  const at = new Date(iso);
  const two = (value: number) => String(value).padStart(2, "0");
  return (
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}` +
    `T${two(at.getHours())}:${two(at.getMinutes())}`
  );
}
