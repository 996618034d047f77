// Times, durations, numbers and sizes for people. Also the dashboard's only clock, which follows the service's.
import { useSyncExternalStore } from "react";

const TICK_MS = 30_000;
const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
// Both formats show the time zone.
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
const minute = new Intl.DateTimeFormat("en-GB", {
  ...({ day: "numeric", month: "short", year: "numeric" } as const),
  ...({ hour: "2-digit", minute: "2-digit", timeZoneName: "short" } as const),
});
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

/** The zone that times are shown in, as in "Europe/Berlin". */
export const ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone;
/** In whole sentences, for pages whose times don't say it themselves. */
export const ZONE_TEXT = `Times are in ${ZONE}.`;

/** This machine's clock, in ms since 1970, which may be wrong. */
export const machineMs = (): number => new Date().getTime();

/** How far the service's clock is ahead of this machine's. */
let aheadMs = 0;

/** The time by the service's clock, in ms since 1970. Components that show a moving time use useNowMs. */
export const currentMs = (): number => machineMs() + aheadMs;

/**
 * Sets the clock by the Date of an answer (RFC 9110, 6.6.1) to what was sent at `sentMs` by this machine's clock. The service wrote
 * it somewhere between then and now, and cut it to its second: within that, the clock stays as it is.
 */
export function setClockBy(date: string | null, sentMs: number): void {
  const writtenMs = Date.parse(date ?? "");
  if (Number.isNaN(writtenMs)) return;
  const least = writtenMs - machineMs();
  const most = writtenMs + SECOND_MS - sentMs;
  aheadMs = Math.min(Math.max(aheadMs, least), most);
  if (Math.abs(currentMs() - nowMs) >= SECOND_MS) moveOn();
}

let nowMs = currentMs();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function moveOn(): void {
  nowMs = currentMs();
  for (const changed of listeners) changed();
}

function subscribe(changed: () => void): () => void {
  if (listeners.size === 0) {
    timer = setInterval(moveOn, TICK_MS);
    nowMs = currentMs();
  }
  listeners.add(changed);
  return () => {
    listeners.delete(changed);
    if (listeners.size === 0) clearInterval(timer);
  };
}

/** The time by the service's clock, in ms since 1970, moving on with each answer and every half minute. */
export function useNowMs(): number {
  return useSyncExternalStore(subscribe, () => nowMs);
}

/** "3 hours ago", "in 2 days". */
export function relativeTime(iso: string, fromMs: number): string {
  const ms = Date.parse(iso) - fromMs;
  const size = Math.abs(ms);
  // The clock may be slightly behind: don't show an event of this moment as a future one.
  if (size < MINUTE_MS) return ms > TICK_MS ? "in a moment" : "just now";
  if (size < HOUR_MS) return relative.format(Math.round(ms / MINUTE_MS), "minute");
  if (size < DAY_MS) return relative.format(Math.round(ms / HOUR_MS), "hour");
  if (size < 60 * DAY_MS) return relative.format(Math.round(ms / DAY_MS), "day");
  return relative.format(Math.round(ms / (30.44 * DAY_MS)), "month");
}

export const exactTime = (iso: string): string => exact.format(new Date(iso));
export const minuteTime = (iso: string): string => minute.format(new Date(iso));
/** A short form without the year, for tables. The exact time is shown on hover. */
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

/** What a datetime field holds for it: local time, to the minute; empty for null and for what is no time. */
export function localOfIso(iso: string | null): string {
  const at = new Date(iso ?? "");
  if (Number.isNaN(at.getTime())) return "";
  const two = (value: number) => String(value).padStart(2, "0");
  return (
    `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}` +
    `T${two(at.getHours())}:${two(at.getMinutes())}`
  );
}
