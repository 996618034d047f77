// Runs the load client (load/client.c) once and reads what it says.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { requestOf, type Door, type Question } from "./messages.ts";
import { LOAD_CORE, start } from "./processes.ts";

export interface Quantiles {
  readonly count: number;
  readonly p50?: number;
  readonly p90?: number;
  readonly p99?: number;
  readonly p999?: number;
  readonly max?: number;
}

/** What the client counted. Times in microseconds. */
export interface LoadResult {
  /** Length of the window, milliseconds. */
  readonly ms: number;
  /** Answers, events or frames within it. */
  readonly count: number;
  /** The same from the beginning until the end. */
  readonly done: number;
  /** Connections that ended or spoke nonsense while something was asked for. */
  readonly errors: number;
  /** Answers with another status than 200, the first of which was `status`. */
  readonly refused: number;
  readonly status: number;
  readonly altered: number;
  readonly lost: number;
  /** Streams that broke off, and streams that were not done seconds after they should have been. */
  readonly broken: number;
  readonly unfinished: number;
  readonly connects: number;
  readonly latencyUs: Quantiles;
  readonly headersUs: Quantiles;
}

export type LoadKind = "closed" | "open" | "streams" | "aborts" | "frames";

export interface LoadOptions {
  readonly kind: LoadKind;
  readonly question: Question;
  /** The client's other arguments; see load/client.c. */
  readonly settings: Readonly<Record<string, string | number>>;
}

export interface Loader {
  /** `onBegin` and `onEnd` are called at the bounds of the measured window. */
  run(
    door: Door,
    options: LoadOptions,
    on?: { begin?: () => void; end?: () => void },
  ): Promise<LoadResult>;
}

/** `folder`: where the answers are (messages.ts), and where requests are written for the client to read. */
export function createLoader(client: string, folder: string): Loader {
  return {
    async run(door, { kind, question, settings }, on = {}) {
      const requestFile = join(folder, "request");
      writeFileSync(requestFile, requestOf(door, question));
      const fixed = {
        kind,
        port: door.port,
        request: requestFile,
        expect: join(folder, "expected"),
      };
      const args = Object.entries({ ...fixed, ...settings }).map(
        ([name, value]) => `${name}=${value}`,
      );
      const started = start([client, ...args], { core: LOAD_CORE });
      started.child.stdout?.on("data", (data: Buffer) => {
        for (const line of data.toString().split("\n")) {
          if (line === "begin") on.begin?.();
          if (line === "end") on.end?.();
        }
      });
      await once(started.child, "close");
      const last = started.output().trim().split("\n").at(-1) ?? "";
      if (!last.startsWith("{")) throw new Error(`the load ended with: ${last}`);
      return JSON.parse(last) as LoadResult;
    },
  };
}
