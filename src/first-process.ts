// The first of several processes: prepares the database, starts the workers, and answers for all of them. It serves nothing itself but
// metrics and health.
import { createHealth } from "./health.ts";
import { bootstrapFiles, prepare } from "./installation.ts";
import { systemClock } from "./platform/clock.ts";
import { withComponents } from "./platform/components.ts";
import type { Config } from "./platform/config.ts";
import { findFree } from "./platform/listen.ts";
import type { Log } from "./platform/log.ts";
import { described, startOpenFilesWatch, urlOf, type Service } from "./service.ts";
import { createPrimaryMetrics, createSupervisor, type Task } from "./workers/index.ts";

// The time for a worker's last steps after its drain, before it is killed.
const WORKER_CLOSE_MS = 20_000;

/**
 * Starts `config.workers` worker processes that serve. `relay` takes the lines of their logs, `complain` messages for people. Throws as
 * `startService` does, and WorkerFailure.
 */
export function startWorkers(
  config: Config,
  log: Log,
  talk: { relay: (lines: string) => void; complain: (text: string) => void },
): Promise<Service> {
  return withComponents(log, async (components) => {
    const metrics = createPrimaryMetrics();
    const supervisor = createSupervisor({
      ...{ count: config.workers, ...talk, clock: systemClock, log, metrics },
    });
    await startOpenFilesWatch(components, { metrics, log });
    const health = await components.start({
      name: "health",
      start: () =>
        createHealth({ metrics: { ...metrics, text: () => supervisor.metricsText() }, log }),
      stop: (it) => it.close(),
    });
    const metricsAddress = await health.listen(config.metricsAddress);
    const { masterKeys, ownerUrl } = await prepare(config, log, components);
    const setup = await bootstrapFiles(config, ownerUrl);
    if (masterKeys.warning !== undefined) log.warn(masterKeys.warning);
    const task: Task = {
      ownerUrl,
      workspaceId: setup.workspaceId,
      proxyAddress: await findFree(config.proxyAddress),
      adminAddress: await findFree(config.adminAddress),
    };
    await components.start({
      name: "workers",
      start: () => supervisor,
      stop: (it) => it.stop(config.deadlines.drainMs + WORKER_CLOSE_MS),
    });
    const urls = await supervisor.start(task);
    health.begin(async () => ((await supervisor.isReady()) ? undefined : "workers_unavailable"));
    log.info("workers serve", { count: config.workers });
    if (config.redisUrl === undefined) {
      log.warn(
        "limits hold for each worker by itself: agents may use this many times theirs; set REDIS_URL to share",
        {
          count: config.workers,
        },
      );
    }
    return {
      ...urls,
      ...described(config, log, setup),
      metricsUrl: urlOf(metricsAddress),
      async stop() {
        health.drain();
        await components.stop();
        log.info("stopped");
      },
    };
  });
}
