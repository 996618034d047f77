// A thread of its own for hashing passwords: on the shared pool, hashes would hold up file and name look-ups, and at the priority of
// the rest of the service they would take the processor from the calls that it relays.
import { once } from "node:events";
import { Worker } from "node:worker_threads";

// OWASP Password Storage Cheat Sheet: argon2id (the package's default) with 19 MiB, two passes, one lane.
export const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** A password to hash, or to hold against the hash `of`. */
export interface Job {
  readonly password: string;
  readonly of?: string | undefined;
}
/** The hash, or whether it is the one. */
export type Answer = string | boolean;

const CODE = new URL("password-worker.ts", import.meta.url);

/** One job at a time: whoever calls waits for the answer before the next. Keeps the process alive only while it works. */
export class PasswordThread {
  #worker: Worker | undefined;

  /** Rejects when the job, or the thread, fails; the next call has a new thread. */
  async run(job: Job): Promise<Answer> {
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    const done = new AbortController();
    const { signal } = done;
    try {
      worker.postMessage(job);
      const ended = once(worker, "exit", { signal }).then(() => {
        throw new Error("the thread for passwords has ended");
      });
      const [answer] = (await Promise.race([once(worker, "message", { signal }), ended])) as [
        Answer,
      ];
      return answer;
    } catch (error) {
      this.#worker = undefined;
      throw error;
    } finally {
      done.abort();
      worker.unref();
    }
  }

  #start(): Worker {
    const worker = new Worker(CODE);
    worker.on("error", () => undefined); // whoever waits for it is told, too
    worker.once("exit", () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    return worker;
  }
}
