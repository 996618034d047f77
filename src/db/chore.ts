// Work that the database has to do again and again, a part of it a statement, so that none takes long. Which process does it is the
// statement's own affair: it answers 0 while another one is at it.
import { errorFields, type Log } from "../platform/log.ts";

const PAUSE_MS = 100;

export interface Chore {
  /** Does all that there is to do; resolves to how many. */
  run(): Promise<number>;
  /** Runs now and from then on at its times. A failure is logged, and the next time comes. */
  start(): void;
  close(): void;
}

export function createChore(o: {
  readonly everyMs: number;
  /** Does a part; resolves to how many. */
  readonly doPart: () => Promise<number>;
  /** With fewer than this a part was the last. */
  readonly partSize: number;
  /** For the log, when it fails. */
  readonly failure: string;
  readonly onDone?: (count: number) => void;
  readonly log: Log;
}): Chore {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  const run = async (): Promise<number> => {
    let total = 0;
    for (;;) {
      const count = await o.doPart();
      total += count;
      if (count < o.partSize || closed) return total;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS).unref());
    }
  };
  const runLogged = (): void => {
    run().then(o.onDone, (error: unknown) => {
      if (!closed) o.log.warn(o.failure, errorFields(error));
    });
  };
  return {
    run,
    start() {
      timer = setInterval(runLogged, o.everyMs).unref();
      runLogged();
    },
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}
