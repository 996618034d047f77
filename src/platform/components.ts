// The components of a process: started one after the other, stopped in reverse order. If one can't be stopped, the log names it, and the
// others (Postgres last) are still stopped.
import { errorFields, type Log } from "./log.ts";

export interface Component<T> {
  /** For the log. */
  readonly name: string;
  readonly start: () => T | Promise<T>;
  /** Stops what `start` returned. */
  readonly stop?: (started: T) => void | Promise<void>;
}

export interface Components {
  /** Starts one. If it throws, the caller must call `stop` to end the others. */
  start<T>(component: Component<T>): Promise<T>;
  /** Stops all started components, the last one first. Never rejects. */
  stop(): Promise<void>;
}

export function createComponents(log: Log): Components {
  const started: { name: string; stop: () => void | Promise<void> }[] = [];
  return {
    async start({ name, start, stop }) {
      const component = await start();
      if (stop !== undefined) started.push({ name, stop: () => stop(component) });
      log.debug("started", { part: name });
      return component;
    },
    async stop() {
      for (const { name, stop } of started.splice(0).reverse()) {
        try {
          await stop();
          log.debug("stopped", { part: name });
        } catch (error) {
          log.error("not stopped cleanly", { part: name, ...errorFields(error) });
        }
      }
    },
  };
}

/** Runs `work`, which starts components. If it throws, they are stopped; otherwise stopping them is left to `work`. */
export async function withComponents<T>(
  log: Log,
  work: (components: Components) => Promise<T>,
): Promise<T> {
  const components = createComponents(log);
  try {
    return await work(components);
  } catch (error) {
    await components.stop();
    throw error;
  }
}
