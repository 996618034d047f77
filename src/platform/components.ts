// The components of a process: started one after the other, stopped in reverse. What can't be stopped is logged by name, and keeps nothing
// else, Postgres last, from it.
import { errorFields, type Log } from "./log.ts";

export interface Component<T> {
  /** For the log. */
  readonly name: string;
  readonly start: () => T | Promise<T>;
  /** Of what `start` gave. */
  readonly stop?: (started: T) => void | Promise<void>;
}

export interface Components {
  /** Starts one. What it throws has to end the others, too: by `stop`. */
  start<T>(component: Component<T>): Promise<T>;
  /** Stops all that were started, the last one first. Never rejects. */
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

/** Runs `work` with components that it starts. Where it throws, they are stopped; else that is up to it. */
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
