// The log as text for people, made from createLog's JSON lines. Must never write control sequences to a terminal: clients choose some of
// the values.
import { styleText } from "node:util";
import type { LogDestination } from "./log-output.ts";

type Style = Parameters<typeof styleText>[0];

const LEVELS: Readonly<Record<number, readonly [name: string, colour: Style]>> = {
  20: ["debug", "gray"],
  30: ["info ", "green"],
  40: ["warn ", "yellow"],
  50: ["error", "red"],
};

/** A destination that takes JSON lines, also those of workers, and writes them to `destination` as text. */
export function asText(
  destination: LogDestination,
  { colours }: { colours: boolean },
): LogDestination {
  const coloured = (style: Style, text: string): string =>
    colours ? styleText(style, text, { validateStream: false }) : text;

  function words(line: string): string {
    const entry = parse(line);
    if (entry === undefined) return `${harmless(line.trimEnd())}\n`;
    const { level, time, msg, ...fields } = entry;
    const [name, colour] = LEVELS[Number(level)] ?? [String(level), "reset"];
    const rest = Object.entries(fields).map(([field, value]) => ` ${field}=${shown(value)}`);
    return (
      `${coloured("dim", clock(String(time)))} ${coloured(colour, name)} ${harmless(String(msg))}` +
      `${rest.length === 0 ? "" : coloured("dim", rest.join(""))}\n`
    );
  }

  return {
    write: (line) => destination.write(words(line)),
    flush: () => destination.flush?.() ?? Promise.resolve(),
    droppedLines: () => destination.droppedLines?.() ?? 0,
    onDropped: (tell) => destination.onDropped?.(tell),
  };
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "msg" in value ? { ...value } : undefined;
  } catch {
    return undefined; // not a line of ours: Node itself writes about a worker
  }
}

/** The time of day in the reader's time zone. */
function clock(iso: string): string {
  const at = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function shown(value: unknown): string {
  const isBare = typeof value === "string" && /^[^\s"=]+$/.test(value);
  return harmless(isBare ? value : JSON.stringify(value));
}

/** `text` with control characters and marks of direction escaped. */
function harmless(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
