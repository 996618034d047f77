// x3sproxy serve, as a worker that the first process has started. It serves, and leaves signals and the terminal to the first process.
import { setFlagsFromString } from "node:v8";
import { readConfig } from "../platform/config.ts";
import { createLog } from "../platform/log.ts";
import { openLink } from "../workers/index.ts";
import { crash, describeError, explainStart, Failure } from "./failure.ts";

/** Serves until the first process says stop or is gone. */
export async function serveAsWorker(): Promise<void> {
  // A terminal or a supervisor may signal all processes. Only the first process decides when to end.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
  const link = openLink();
  const { number, ...task } = await link.begun;
  const config = readConfig();
  const log = createLog({ level: config.logLevel, worker: number });
  process.once("uncaughtException", (error) => crash(error, log));
  setFlagsFromString("--no-allocation-site-pretenuring"); // as in serve.ts
  try {
    const { startWorker } = await import("../main.ts");
    const service = await startWorker(config, log, task).catch(explainStart);
    const { proxyUrl, adminUrl } = service;
    link.serve({ proxyUrl, adminUrl }, service, () => service.cut());
    await link.asked;
    await service.stop();
  } catch (error) {
    await link.fail(error instanceof Failure ? error.code : "failed", describeError(error));
    await log.flush();
    process.exit(1);
  }
  await log.flush();
  process.exit(0);
}
