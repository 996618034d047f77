// Several processes on one machine: a first one that starts and minds the others, and workers that serve.
export { openLink, type WorkerAnswers, type WorkerLink } from "./link.ts";
export type { Figures, Task, WorkerUrls } from "./link.ts";
export { createSupervisor, type Supervisor } from "./supervisor.ts";
export { createPrimaryMetrics } from "./sums.ts";
