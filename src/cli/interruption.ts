// Turns a signal into an exit of our own, so that exit handlers run: they end the Postgres in the data folder.
import { constants } from "node:os";

/** From now on SIGINT, SIGTERM and SIGHUP end this process with 128 plus the signal's number. */
export function exitOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}
